"""One write: a transaction whose effects on the cache are certain. The only place that invalidates.

Before COMMIT every tag that the transaction touched (the database's triggers know) is held; after it they are
restamped. When a hold is impossible, the whole cache is switched off in PostgreSQL and the commit waits until the last
fence has surely lapsed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

from cache.second_level import FENCE_LIFE, SecondLevelCache
from db import coherence
from db.connection import WriteConnection
from db.database import Database
from loaders.batch import Loaders
from loaders.ending import to_its_end
from loaders.held import held_tags
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
    try:
        async with AsyncExitStack() as transaction:
            unit = UnitOfWork(await transaction.enter_async_context(database.transaction(positioned=True)))
            if loaders:
                loaders.inside(unit.connection)
            yield unit
            await to_its_end(_end(transaction.pop_all(), unit, database, cache))
            if loaders and unit.connection.position:
                loaders.written = unit.connection.position
    finally:
        if loaders:
            loaders.inside(None)


async def _end(transaction: AsyncExitStack, unit: UnitOfWork, database: Database, cache: SecondLevelCache) -> None:
    held = False
    try:
        async with transaction:
            home = await cache.home()
            pending = await coherence.pending(unit.connection, home)
            unit.tags = pending.tags
            if unit.undone:
                raise _Undone
            if pending.tags and not pending.unused:
                if pending.holds_in_s:  # the fence has just moved here
                    await asyncio.sleep(pending.holds_in_s)
                    pending = await coherence.pending(unit.connection, home)
                while not (held := pending.same_redis and await cache.hold(pending.xid, pending.tags, home)):
                    if await _suspended(database, unit.connection):
                        break
                    home = await cache.home()  # it may be back, and the fence with it
                    pending = await coherence.pending(unit.connection, home)
                count("writes", "held" if held else "suspended")
                if held:
                    held_tags.begin(pending.xid, len(pending.tags))
    except _Undone:
        return
    # a COMMIT that failed never gets here: its outcome is unknown, so its hold stays until the drain or its deadline
    if held:
        await cache.release(pending.xid, pending.tags, unit.connection.position)
        held_tags.end(pending.xid)
    elif not pending.tags and unit.connection.position:  # else its token would lead past the cache until the next write
        await cache.release(pending.xid, [], unit.connection.position)


async def _suspended(database: Database, connection: WriteConnection) -> bool:
    """Switch the cache off for everyone; True when the transaction can be committed now, False after a wait."""
    async with database.aside() as aside:
        await coherence.suspend(aside, FENCE_LIFE * CLOCK_MARGIN, SUSPENSION)
    wait = await coherence.covered(connection, FENCE_LIFE * CLOCK_MARGIN)
    if wait:
        await asyncio.sleep(wait.total_seconds())
    return wait == timedelta()
