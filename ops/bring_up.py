"""What happens before the first worker serves: migrations, the demo company. A process of its own.

python -m ops.bring_up [demo]. The first line of its input is a JSON object of environment variables that the service
found out meanwhile, the end of its input ends it. It writes one line of JSON, {"ready": true} or what is in the way,
and then brings an older demo company up to date while others serve already: what it writes reaches the cache like the
writes of anybody else. It loads only what there is work for, so that a second start is quick.
"""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from cluster.journal import journal, open_journal
from db.database import Database
from db.demo import demo_company, is_inhabited, is_interrupted
from db.migrated import is_migrated
from domain.errors import RollcallError, Unavailable
from ops.database_refusal import refusal
from web.environment import SettingsError
from web.logs import open_logs
from web.settings import Settings

EMPLOYEES, DAYS, SEED = 2_000, 90, 7
ATTEMPTS: Final = 5
"""Bringing up to date is begun anew when another change was in the way."""


async def bring_up(settings: Settings, *, demo: bool, ready: Callable[[], None]) -> None:
    """Make the database ready to be served, say so, and bring an older demo company up to date."""
    url = settings.database.primary_url
    if url is None:
        raise SettingsError("DATABASE_URL: needed the address of PostgreSQL, got none")
    database = Database(url, application="rollcall start")
    try:
        await _reach(database, settings)
        await _migrate(database)
        if demo and await _is_empty(database):
            await _fill(database)
        ready()
        if demo:
            await _bring_up_to_date(database)
    finally:
        await database.close()


async def _reach(database: Database, settings: Settings) -> None:
    """Refuse a database that does not answer or does not let us in."""
    try:
        await database.ping()
    except Unavailable as error:
        raise refusal(error, settings) from None


async def _migrate(database: Database) -> None:
    async with database.read() as connection:
        if await is_migrated(connection):
            return
    from db.migrate import upgrade

    await upgrade(database.url)


async def _is_empty(database: Database) -> bool:
    async with database.read() as connection:
        return not await is_inhabited(connection) or await is_interrupted(connection)


async def _fill(database: Database) -> None:
    from rich.console import Console

    from ops.demo import fill_demo
    from ops.demo_command import progress_bar

    with progress_bar(Console(stderr=True), "done") as bar:
        task = bar.add_task("Filling in the demo company", total=EMPLOYEES * DAYS)
        now = datetime.now(UTC)
        await fill_demo(database, EMPLOYEES, DAYS, SEED, now, lambda done, _: bar.update(task, completed=done))


async def _bring_up_to_date(database: Database) -> None:
    """Beside what serves, which goes first; what is in the way of it stops nobody, and the next start tries again."""
    async with database.read() as connection:
        if await demo_company(connection) is None:
            return
    from ops.demo import bring_up_to_date

    async def attempt() -> int:
        return await bring_up_to_date(database, datetime.now(UTC), lambda _, __: None)

    try:
        if changed := await _despite_others(attempt):
            journal.info("the demo company is up to date: %s days came or changed", f"{changed:,}")
    except RollcallError as error:
        journal.warning("the demo company was not brought up to date: %s; the next start tries again", error.message)


async def _despite_others(attempt: Callable[[], Awaitable[int]]) -> int:
    for _ in range(ATTEMPTS - 1):
        try:
            return await attempt()
        except Unavailable as error:
            await asyncio.sleep(error.retry_after_s)
    return await attempt()


def _end_with_the_service() -> None:
    """End when our input does: whoever started us is gone, and soon the private servers too."""

    def wait() -> None:
        while os.read(0, 1024):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="service", daemon=True).start()


def _answer(**facts: object) -> None:
    try:
        os.write(1, json.dumps(facts).encode() + b"\n")  # past Python's buffer, which would be flushed again at exit
    except BrokenPipeError:
        os._exit(1)


def _ready() -> None:
    _answer(ready=True)
    os.nice(10)  # whoever serves goes first


def main() -> int:
    """Returns the exit code; the service says what is in the way."""
    open_journal()
    open_logs()  # our standard output is for the service alone
    os.environ.update(json.loads(sys.stdin.readline() or "{}"))
    _end_with_the_service()
    try:
        settings = Settings.from_environment()
        asyncio.run(bring_up(settings, demo="demo" in sys.argv[1:], ready=_ready))
    except RollcallError as error:
        _answer(error=error.message, exit_code=error.exit_code)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
