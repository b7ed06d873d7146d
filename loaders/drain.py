"""The drain: every 250 ms one leader restamps what committed transactions touched and extends the fence.

It makes writes from outside (psql, another service) visible, for which it looks every 50 ms, and those of a writer that
died after COMMIT. Without it the fence lapses and the cache is off: slower, never stale.
"""

import asyncio
import secrets
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog

from cache.fence import Fence
from cache.second_level import FENCE_LIFE, SecondLevelCache
from cache.server import CacheUnreachable
from db import coherence
from db.connection import WriteConnection
from db.database import Database
from domain.errors import Unavailable
from loaders.ending import to_its_end
from loaders.unit_of_work import CLOCK_MARGIN
from telemetry.counters import count

TICK: Final = timedelta(milliseconds=250)
GLANCE: Final = timedelta(milliseconds=50)
"""A fifth of a drain's CPU: 0.3 against 1.7 ms."""
MOST_STEPS: Final = 5
"""The cache is used; the fence moves; a suspension ends; Redis lost its data: each is committed; then it is renewed."""
log = structlog.get_logger("rollcall.drain")


async def drain_once(database: Database, cache: SecondLevelCache) -> bool:
    """Drain and renew if this process can lead now; False when it cannot, or when the cache is suspended.

    Then too the outbox is drained and the newest position made known, so that a replica can answer without a primary.
    """
    for _ in range(MOST_STEPS):
        done = await _step(database, cache)
        if done is not None:
            return done
    return False


async def _step(database: Database, cache: SecondLevelCache) -> bool | None:
    """None when something was written that has to be committed before the fence is renewed."""
    if cache.server is None:
        return False
    run_id, clock_ms = await cache.server.clock_ms()  # before the outbox is read: the fence promises what it had then
    async with database.transaction() as connection:
        state = await coherence.lead(connection)
        if state is None:
            return False
        if await coherence.announce(connection, state):
            return None
        if state.home not in (run_id, coherence.NOWHERE):
            # an address that leads to another server is found out by new connections only: all workers must agree
            cache.server.reconnect()
            run_id, clock_ms = await cache.server.clock_ms()
        if (state.home, state.server) != (run_id, state.server_now):
            # also while the cache is suspended, or the writers that cannot hold would suspend it for ever
            await _move(connection, state, run_id)
            return None
        if state.suspended and state.may_end and await coherence.end_suspension(connection):
            return None
        if state.on_its_way and not state.suspended:
            await coherence.arrive(connection, run_id)
        fence, name = Fence(run_id, state.epoch, state.declaration, clock_ms), secrets.token_hex(8)
        drained = await coherence.drain(connection, state.epoch, name)
        last = state.last_drain
        if not await cache.renew(fence, name, *drained, last_drain=last, suspended=state.suspended):
            await _move(connection, state, run_id)  # what was just drained is of before the new epoch
            return None
    return not state.suspended


async def _move(connection: WriteConnection, state: coherence.FenceState, run_id: str) -> None:
    """Begin a new epoch: Redis or PostgreSQL is not the one that the last one began on."""
    count("cache_epochs")
    await coherence.move_fence(connection, run_id, state.server_now, FENCE_LIFE * CLOCK_MARGIN)


async def drain_for_ever(database: Database, cache: SecondLevelCache) -> None:
    """Drain at every tick until cancelled; faults of either server are waited out."""
    while True:
        glances = 0
        try:
            if await to_its_end(drain_once(database, cache)):
                glances = TICK // GLANCE - 1
        except (CacheUnreachable, Unavailable) as error:
            count("drain_failures", type(error).__name__)
        except Exception:
            count("drain_failures", "bug")
            log.exception("the drain failed")
        await _rest(database, glances)


async def _rest(database: Database, glances: int) -> None:
    """Until the next tick, or until a glance at the outbox finds that somebody else has written."""
    for _ in range(glances):
        await asyncio.sleep(GLANCE.total_seconds())
        with suppress(Unavailable):
            if not database.busy and await to_its_end(_is_written_outside(database)):
                return
    await asyncio.sleep((TICK - glances * GLANCE).total_seconds())


async def _is_written_outside(database: Database) -> bool:
    async with database.read() as connection:
        return await coherence.is_written_outside(connection)
