"""`rollcall demo`: puts the demo company into an empty database."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from domain.errors import RollcallError


def demo(
    employees: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many days of attendance, ending today.")] = 90,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="The same seed gives the same company.")] = 7,
    database_url: Annotated[
        str, typer.Option(envvar="DATABASE_URL", help="Where PostgreSQL is: postgresql://user:password@host/database")
    ] = "",
) -> None:
    """Fill an empty database with a company whose days are derived from raw punches."""
    address = _address(database_url)
    try:
        asyncio.run(_fill(address, employees, days, seed))
    except RollcallError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(error.exit_code) from None


def _address(given: str) -> str:
    from web.settings import POSTGRESQL

    scheme, _, rest = given.partition("://")
    if scheme in POSTGRESQL.schemes and rest:
        return f"{POSTGRESQL.becomes}://{rest}"
    got = f"got one that begins with {scheme[:20]!r}" if given else "none was given"
    typer.echo(f"DATABASE_URL or --database-url: needed {POSTGRESQL.needed}, {got}", err=True)
    raise typer.Exit(2)


async def _fill(database_url: str, employees: int, days: int, seed: int) -> None:
    from db.database import Database
    from db.migrate import upgrade
    from ops.demo import DEMO_PASSWORD, DEMO_USERS, fill_demo

    database = Database(database_url, application="rollcall demo")
    console = Console()
    try:
        async with database.read():  # says it plainly when nobody answers
            pass
        await upgrade(database_url)
        with progress_bar(console) as bar:
            task = bar.add_task("Filling in the demo company", total=employees * days)
            await fill_demo(
                database, employees, days, seed, datetime.now(UTC), lambda done, _: bar.update(task, completed=done)
            )
    finally:
        await database.close()
    console.print(f"Sign in with the password {DEMO_PASSWORD} as")
    for email, label in DEMO_USERS:
        console.print(f"  {email:22} {label}", highlight=False)


def progress_bar(console: Console, unit: str = "days") -> Progress:
    """A bar that counts in `unit`."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )
