"""PostgreSQL refuses to run as root: as root it runs in a user namespace, where files stay as they are.

Nothing is chowned or chmodded: the child is uid 65534 of a new user namespace that maps to root outside. The role that
the service uses is no superuser, since inside that namespace a superuser's COPY TO PROGRAM would own root's files.
"""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from db.embedded.binaries import EmbeddedServerError

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
LINUX = sys.platform.startswith("linux")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter_user_namespace() -> None:
    if _libc().unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", "65534 0 1"), ("gid_map", "65534 0 1")):
        Path("/proc/self", name).write_text(text)


def before_exec(death_signal: int = 0, *, unprivileged: bool = True) -> Callable[[], None]:
    """What a child does before exec: leave root, and ask for `death_signal` when its parent dies (Linux)."""
    leave_root = unprivileged and os.geteuid() == 0

    def prepare() -> None:
        if leave_root:
            _enter_user_namespace()
        if death_signal and LINUX:  # after the change of uid, which would clear it
            _libc().prctl(PR_SET_PDEATHSIG, death_signal)

    return prepare


def require_unprivileged_children() -> None:
    """Raise EmbeddedServerError where root cannot start a child that is not root (a container without namespaces)."""
    if os.geteuid():
        return
    try:
        subprocess.run(["/bin/true"], preexec_fn=before_exec(), check=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        raise EmbeddedServerError(
            "root cannot make a user namespace here: run as an ordinary user, or set DATABASE_URL and REDIS_URL"
        ) from None
