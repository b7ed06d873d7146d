"""Which server is asked for what the cache lacks: a replica that has what is needed, else the primary.

Without a primary a replica answers alone, if it has everything that is known to have been committed.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

from cache.progress import Needed
from cache.reading import Reading, Ticket
from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable
from db.connection import ReadConnection
from db.database import Database
from db.errors import Behind, Unreachable
from domain.errors import Unavailable
from telemetry.counters import count

R = TypeVar("R")

PATIENCE: Final = timedelta(seconds=3)
"""Of a read without a primary: for a replica that still replays, or a promotion, which takes a second or two."""
LOOK: Final = timedelta(milliseconds=100)
"""A replica is waited for so long before the primary is tried again."""


async def looked_up(
    database: Database,
    cache: SecondLevelCache,
    readings: Sequence[Reading[Any, Any]],
    tags: Callable[[], Sequence[str]],
    fetch: Callable[[ReadConnection], Awaitable[R]],
) -> tuple[R, bool]:
    """(what the database says of the misses of readings of one tick, whether that may be stored under their tickets).

    `tags` are those of the misses.
    """
    if database.replicas:
        ticket, needed = ticket_of(readings), needed_of_all(readings)
        if ticket is not None and needed is not None and not needed.held:
            try:
                found, replayed = await database.replicas.ask(needed.position, database.replicas.wait, fetch)
            except Behind:
                count("replica_reads", "behind")
            else:
                if await cache.confirms(ticket, tags(), replayed):
                    count("replica_reads", "answered")
                    return found, True
                count("replica_reads", "overtaken")
    try:
        async with database.read() as connection:
            return await fetch(connection), True
    except Unreachable as error:
        if not database.replicas:
            raise
        away = error
    deadline_s = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            return await _without_primary(database, cache, needed_of_all(readings), fetch, away), False
        except (
            Unavailable
        ) as refusal:  # the primary may be back, as another server than the replicas were compared with
            last = time.monotonic() >= deadline_s or not isinstance(refusal, Behind)
            try:
                async with database.read(insist=last) as connection:
                    return await fetch(connection), True
            except Unreachable:
                if last:
                    raise refusal from away


def ticket_of(readings: Sequence[Reading[Any, Any]]) -> Ticket | None:
    """The right to store the misses of all of them; None when their tickets are not of one fence."""
    if len(readings) == 1:
        return readings[0].ticket
    tickets = [reading.ticket for reading in readings if reading.ticket is not None]
    if len(tickets) < len(readings) or len({ticket.fence for ticket in tickets}) > 1:
        return None
    return Ticket(tickets[0].fence, {tag: stamp for one in tickets for tag, stamp in one.stamps.items()})


def needed_of_all(readings: Sequence[Reading[Any, Any]]) -> Needed | None:
    """What a replica must have to be asked for the misses of all of them."""
    needed = [one for reading in readings if (one := reading.needed) is not None]
    if len(needed) < len(readings) or len({one.position.server for one in needed}) > 1:
        return None
    position = max((one.position for one in needed), key=lambda position: position.lsn)
    return Needed(position, any(one.held for one in needed))


async def _without_primary(
    database: Database,
    cache: SecondLevelCache,
    needed: Needed | None,
    fetch: Callable[[ReadConnection], Awaitable[R]],
    error: Unreachable,
) -> R:
    """Ask a replica that has every commit that was acknowledged; what it says is not stored.

    Of what is held nobody was told that it is committed, but somebody may have read it: so it must be sure that the
    primary tells nobody any more.
    """
    if needed is None:  # Redis was perhaps too slow to answer; of which tags are held nothing is asked now
        if cache.server is not None:
            with suppress(CacheUnreachable):
                await cache.server.clock_ms()  # tries again, which no look does
        newest = await cache.newest()
        if newest is None:
            count("replica_reads", "unknown")
            raise Unavailable("the database cannot be reached now, and what its replica lacks is not known") from error
        needed = Needed(newest, held=True)
    found, _ = await database.replicas.ask(needed.position, LOOK, fetch, alone=needed.held)
    count("replica_reads", "alone")
    return found
