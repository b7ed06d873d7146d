"""What the commands share: the settings of the installation, output for people or as JSON, and exit codes.

0: all is well. 1: something is wrong, or could not be done. 2: wrong usage or settings. 3: not reachable.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from domain.errors import RollcallError, Unavailable
from web.environment import SettingsError
from web.settings import Settings

FAILED: Final = 1
T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


class NotReachable(RollcallError):
    """The service, PostgreSQL or Redis does not answer."""

    exit_code = 3


@contextmanager
def plain_errors() -> Iterator[None]:
    """Within it an error of ours is one line on standard error and an exit code."""
    try:
        yield
    except RollcallError as error:
        _refuse(error.message, error.exit_code)
    except Exception as error:
        from db.errors import lacks_schema  # late: most commands end well, and some need no database

        if not lacks_schema(error):
            raise
        _refuse(f"DATABASE_URL: the database is not at this version's migration ({error}): rollcall db migrate", 2)


def _refuse(message: str, code: int) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(code) from None


@contextmanager
def installation() -> Iterator[Settings]:
    """The settings, with the addresses of the private servers filled in; they run at least for as long as this does."""
    settings = Settings.from_environment()
    missing_database = settings.database.primary_url is None
    missing_redis = settings.redis.shared_url is None and settings.cache.enabled
    if not missing_database and not missing_redis:
        yield settings
        return
    folder = settings.server.data_dir
    if not (folder / "embedded.json").exists():
        if not missing_database:
            yield settings
            return
        raise SettingsError(
            f"DATABASE_URL: needed the address of PostgreSQL, got none, and DATA_DIR {folder} holds no private one"
        )
    from db.embedded import lease

    with lease(folder) as servers:
        found: dict[str, Any] = {}
        if missing_database:
            found["database"] = settings.database.model_copy(update={"url": SecretStr(servers.database_url)})
        if missing_redis:
            found["redis"] = settings.redis.model_copy(update={"url": SecretStr(servers.redis_url)})
        yield settings.model_copy(update=found)


def run(work: Callable[[Settings], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine over the installation; errors of ours end the command."""
    with plain_errors(), installation() as settings, named_database(settings):
        return asyncio.run(work(settings))
    raise AssertionError  # plain_errors has left


@contextmanager
def named_database(settings: Settings) -> Iterator[None]:
    """Within it a database that cannot be reached is named by its variable and address."""
    try:
        yield
    except Unavailable as error:
        from db.errors import Unreachable
        from ops.database_refusal import refusal

        raise (refusal(error, settings) if isinstance(error, Unreachable) else error) from None


def examples(*lines: str) -> str:
    """The end of the help of a command; an empty line keeps two of them apart."""
    return "\n\n".join(("[bold]Examples[/bold]", *lines))


def print_json(value: object) -> None:
    """One JSON document on one line, so that a stream of them can be read as well."""
    typer.echo(orjson.dumps(value).decode())


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; a column whose heading begins with > is for numbers."""
    made = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    made.header_style, made.min_width = "dim", len(title)
    for column in columns:
        made.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        made.add_row(*(shown(cell) for cell in row))
    return made


def shown(value: object) -> str:
    """A cell: numbers with thousands separated, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def percent(share: float | None) -> str:
    """A share in percent."""
    return "–" if share is None else f"{share:.1%}"


def mebibytes(number: float) -> str:
    """Bytes in MiB."""
    return f"{number / 2**20:,.0f} MiB"


def console() -> Console:
    """Standard output, made anew so that a test can capture it; a pipe is as wide as our tables."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=140)
