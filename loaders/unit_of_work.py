"""One write: a transaction whose effects on the cache are certain. The only place that invalidates.

Before COMMIT every tag that the transaction touched (the database's triggers know) is held; after it they are
restamped. When a hold is impossible, the whole cache is switched off in PostgreSQL and the commit waits until the last
fence has surely lapsed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from cache.second_level import FENCE_LIFE, SecondLevelCache
from db import coherence
from db.connection import WriteConnection
from db.database import Database
from loaders.batch import Loaders
from telemetry.counters import count

CLOCK_MARGIN: Final = 1.1
SUSPENSION: Final = timedelta(seconds=4)


class UnitOfWork:
    """An open transaction; `tags` is what it touched, known once it has ended."""

    def __init__(self, connection: WriteConnection) -> None:
        self.connection = connection
        self.tags: list[str] = []
        self.undone = False

    def undo(self) -> None:
        """End in a rollback: a dry run, or a problem that the person at the keyboard can put right."""
        self.undone = True


class _Undone(Exception):
    """Leaves a transaction so that it is rolled back."""


@asynccontextmanager
async def unit_of_work(
    database: Database, cache: SecondLevelCache, loaders: Loaders | None = None
) -> AsyncIterator[UnitOfWork]:
    """A transaction that is committed at the end, unless an error leaves it or `undo` was called."""
    held: coherence.Pending | None = None
    try:
        async with database.transaction() as connection:
            unit = UnitOfWork(connection)
            if loaders:
                loaders.inside(connection)
            yield unit
            pending = await coherence.pending(connection, cache.server.run_id if cache.server else "")
            unit.tags = pending.tags
            if unit.undone:
                raise _Undone
            if pending.tags and await _withheld(database, cache, pending):
                held = pending
    except _Undone:
        pass
    finally:
        if loaders:
            loaders.inside(None)
    # a COMMIT that failed never gets here: its outcome is unknown, so its hold stays until the drain or its deadline
    if held is not None:
        await cache.release(held.xid, held.tags, committed=True)


async def _withheld(database: Database, cache: SecondLevelCache, pending: coherence.Pending) -> bool:
    """Make sure that nothing old is served from now on; True when that was done by holding the tags."""
    if cache.server is None:
        return False
    if pending.same_redis and await cache.hold(pending.xid, pending.tags):
        count("writes", "held")
        return True
    count("writes", "suspended")
    async with database.aside() as connection:
        wait = await coherence.suspend(connection, FENCE_LIFE * CLOCK_MARGIN, SUSPENSION)
    await asyncio.sleep(wait.total_seconds())
    return False
