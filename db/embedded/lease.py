"""A lease on the embedded servers: the first holder starts them, they stop when the last has gone, however it went."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from db.embedded.binaries import EmbeddedServerError, postgres_bindir, valkey_server

CHECKOUT = Path(__file__).parents[2]
FOR_TESTS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "pg_stat_statements.max": "50000",  # many databases share it, and dropping one does not free its entries
    "autovacuum": "off",  # its workers are a superuser's: DROP DATABASE ... FORCE may not end them
}


class EmbeddedServers(msgspec.Struct, frozen=True):
    """Where the servers are; pids are of the moment at which the keeper became ready."""

    database_url: str
    redis_url: str
    bindir: str
    postgres_pid: int
    valkey_pid: int


@contextmanager
def lease(data: Path, *, postgres_settings: Mapping[str, str] | None = None) -> Iterator[EmbeddedServers]:
    """Hold the servers of the folder `data`, started if need be; raises EmbeddedServerError with what to do."""
    data = data.resolve()
    try:
        data.mkdir(mode=0o711, parents=True, exist_ok=True)
        start, held = (data / "start.lock").open("w"), (data / "lease.lock").open("w")
    except OSError as error:
        raise EmbeddedServerError(f"cannot write to the data folder {data}: {error.strerror}; set DATA_DIR") from None
    with start, held:
        fcntl.flock(start, fcntl.LOCK_EX)
        fcntl.flock(held, fcntl.LOCK_SH)
        if not _is_kept(data):
            _start_keeper(data, postgres_settings or {})
        servers = msgspec.json.decode((data / "embedded.json").read_bytes(), type=EmbeddedServers)
        fcntl.flock(start, fcntl.LOCK_UN)
        yield servers


def _is_kept(data: Path) -> bool:
    with (data / "keeper.lock").open("w") as lock:
        return not _free(lock)


def _free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _start_keeper(data: Path, postgres_settings: Mapping[str, str]) -> None:
    postgres_bindir(), valkey_server()  # what the environment names wrongly is refused here, before anything is written
    with (data / "keeper.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "db.embedded.keeper", str(data), msgspec.json.encode(dict(postgres_settings))],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    assert child.stdout is not None
    with child.stdout as answer:
        ready = answer.readline() == b"READY\n"
    if not ready:
        child.wait()
        reason = (data / "keeper.log").read_text().strip().splitlines()[-1:]
        raise EmbeddedServerError(reason[0] if reason else f"the embedded servers did not start; see {data}")
    child.returncode = 0  # the keeper outlives us on purpose: no ResourceWarning for a running child
