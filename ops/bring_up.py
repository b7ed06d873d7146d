"""What happens before the first worker serves: migrations, the demo company, one drain. A process of its own.

python -m ops.bring_up [demo]; the input is a JSON object of environment variables that the service found out meanwhile.
The supervisor starts it, so that what it loads and how it ends cannot touch the supervisor.
"""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime

from rich.console import Console

from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable
from db.database import Database
from db.migrate import upgrade
from domain.errors import RollcallError, Unavailable
from loaders.drain import drain_once
from ops.demo import bring_up_to_date, fill_demo, is_empty
from ops.demo_command import progress_bar
from web.environment import SettingsError, masked_address
from web.settings import Settings
from web.stores import open_cache, open_database

EMPLOYEES, DAYS, SEED = 2_000, 90, 7


async def bring_up(settings: Settings, *, demo: bool) -> None:
    """Make the database ready to be served."""
    database, cache = open_database(settings), open_cache(settings)
    try:
        await _reach(database)
        await upgrade(database.url)
        if demo:
            await _demo(database)
        await _drain(database, cache)
    finally:
        await cache.close()
        await database.close()


async def _reach(database: Database) -> None:
    """Refuse a database that does not answer, is too old, or does not let us in, in the words of PostgreSQL."""
    try:
        await database.ping()
    except Unavailable as error:
        reason = str(error.__cause__ or error.message).splitlines()[0]
        address = masked_address(database.url)
        raise SettingsError(f"DATABASE_URL: needed a PostgreSQL that answers, got {address}: {reason}") from None


async def _demo(database: Database) -> None:
    now = datetime.now(UTC)
    with progress_bar(Console(stderr=True), "done") as bar:
        if await is_empty(database):
            task = bar.add_task("Filling in the demo company", total=EMPLOYEES * DAYS)
            await fill_demo(database, EMPLOYEES, DAYS, SEED, now, lambda done, _: bar.update(task, completed=done))
        else:
            task = bar.add_task("Bringing the demo company up to date", total=None, visible=False)
            await bring_up_to_date(
                database, now, lambda done, total: bar.update(task, completed=done, total=total, visible=True)
            )


async def _drain(database: Database, cache: SecondLevelCache) -> None:
    """Make everything visible that was written while nobody served; without Redis there is nothing to do."""
    if cache.server is not None:
        try:
            await drain_once(database, cache)
        except CacheUnreachable:
            return


def main() -> int:
    """Returns the exit code; a refusal is one line on standard error."""
    try:
        os.environ.update(json.loads(sys.stdin.read() or "{}"))
        asyncio.run(bring_up(Settings.from_environment(), demo="demo" in sys.argv[1:]))
    except RollcallError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
