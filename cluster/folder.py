"""One service for each data folder: two would take each other's keys, tokens and private servers for their own."""

import errno
import fcntl
import os
from pathlib import Path
from typing import IO

from web.environment import SettingsError

FILE = "service.lock"


def claimed(folder: Path) -> IO[str]:
    """The folder's lock, held until it is closed; raises SettingsError when another service has it."""
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = (folder / FILE).open("a+")
    except OSError as error:
        reason = "Not a directory" if isinstance(error, FileExistsError) else error.strerror
        raise SettingsError(
            f"DATA_DIR: {folder} cannot be written: {reason}; set DATA_DIR to a folder that can"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise SettingsError(
            f"DATA_DIR: {folder} is in use by the Rollcall of process {holder}; stop it, or set DATA_DIR to another"
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
