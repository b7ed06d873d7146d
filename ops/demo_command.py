"""`rollcall demo`: puts the demo company into an empty database."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ops.terminal import AsJson, console, examples, named_database, plain_errors, print_json
from web.environment import SettingsError
from web.settings import POSTGRESQL, Settings

EXAMPLES = examples(
    "rollcall demo --database-url postgresql://rollcall@localhost/rollcall_demo",
    "rollcall demo --employees 500 --days 30 --json",
)


def demo(
    employees: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many people.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, max=3_660, help="How many days of attendance, ending today.")] = 90,
    seed: Annotated[int, typer.Option(min=0, max=2**31, help="The same seed gives the same company.")] = 7,
    database_url: Annotated[
        str, typer.Option(envvar="DATABASE_URL", help="Where PostgreSQL is: postgresql://user:password@host/database")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Fill an empty database with a company whose days are derived from raw punches."""
    from ops.demo import DEMO_PASSWORD, DEMO_USERS  # late: it loads all that writes the company

    with plain_errors():
        settings = _settings_with(database_url)
        with named_database(settings):
            asyncio.run(_fill(settings, employees, days, seed))
    if as_json:
        users = [{"email": email, "about": label} for email, label in DEMO_USERS]
        print_json({"employees": employees, "days": days, "password": DEMO_PASSWORD, "users": users})
        return
    screen = console()
    screen.print(f"Sign in with the password {DEMO_PASSWORD} as")
    for email, label in DEMO_USERS:
        screen.print(f"  {email:22} {label}")


def _settings_with(address: str) -> Settings:
    scheme, _, rest = address.partition("://")
    if scheme not in POSTGRESQL.schemes or not rest:
        got = f"got one that begins with {scheme[:20]!r}" if address else "none was given"
        raise SettingsError(f"DATABASE_URL or --database-url: needed {POSTGRESQL.needed}, {got}")
    settings = Settings.from_environment()
    url = SecretStr(f"{POSTGRESQL.becomes}://{rest}")
    return settings.model_copy(update={"database": settings.database.model_copy(update={"url": url})})


async def _fill(settings: Settings, employees: int, days: int, seed: int) -> None:
    from db.database import Database
    from db.migrate import upgrade
    from ops.demo import fill_demo

    url = settings.database.primary_url
    assert url is not None
    database = Database(url, application="rollcall demo")
    try:
        async with database.read():  # says it plainly when nobody answers
            pass
        await upgrade(url)
        with progress_bar(Console(stderr=True)) as bar:
            task = bar.add_task("Filling in the demo company", total=employees * days)
            await fill_demo(
                database, employees, days, seed, datetime.now(UTC), lambda done, _: bar.update(task, completed=done)
            )
    finally:
        await database.close()


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
