"""How the version before migration 0011 led and drained, and the schema that it had: for rolling deployments.

It knows no name of a last drain and no lock under a suspension, which lapses by time; and it moves the fence in the
transaction that renews it. `BEFORE=a checkout of that version` has the real one instead.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import text

import db.coherence
import db.migrate
import loaders.drain
from cache.fence import Fence
from cache.second_level import FENCE_LIFE, SecondLevelCache
from db.connection import Query
from db.database import Database
from loaders.unit_of_work import CLOCK_MARGIN
from tests.coherence.removals import in_lua, in_query, put

BEFORE: Final = "the version before migration 0011"
REVISION: Final = "0010"
_MOVE: Final = Query(
    "cache_move",
    text("""
    UPDATE cache_state SET epoch = ('x' || substr(md5(gen_random_uuid()::text), 1, 15))::bit(60)::bigint,
      holds_from = CASE WHEN run_id IN (:run_id, :nowhere) THEN holds_from
                        WHEN suspended_until > clock_timestamp() THEN suspended_from + CAST(:grace AS interval)
                        ELSE clock_timestamp() + CAST(:grace AS interval) END,
      run_id = :run_id, server = :server RETURNING epoch"""),
)


def as_before() -> None:
    """Let this process be of that version."""
    in_query("_STATE", "last_drain", "'' AS last_drain")()
    in_query("_STATE", "suspended_until <> '-infinity' AS", "suspended_until > clock_timestamp() AS")()
    in_query("_STATE", "least(ends_from, suspended_until) <= clock_timestamp()", "false")()
    drain = Query("cache_drain", text("DELETE FROM cache_outbox RETURNING xid::text, tags"))
    put(db.coherence, "_DRAIN", drain)
    in_lua("renew", "if ARGV[7] == '1' or ARGV[11] == '' then", "if false then")()
    in_lua("renew", "redis.call('SET', KEYS[3], last, 'PX', ARGV[5])", "")()
    put(loaders.drain, "_step", _step)
    put(db.migrate, "command", _up_to_its_own())


@contextmanager
def schema_before() -> Iterator[None]:
    """Databases are made with the schema of that version meanwhile."""
    today = db.migrate.command
    put(db.migrate, "command", _up_to_its_own())
    try:
        yield
    finally:
        put(db.migrate, "command", today)


def _up_to_its_own() -> SimpleNamespace:
    upgrade = db.migrate.command.upgrade
    return SimpleNamespace(upgrade=lambda config, _: upgrade(config, REVISION))


async def _step(database: Database, cache: SecondLevelCache) -> bool | None:
    coherence = db.coherence
    if cache.server is None:
        return False
    run_id, clock_ms = await cache.server.clock_ms()
    async with database.transaction() as connection:
        state: Any = await coherence.lead(connection)
        if state is None:
            return False
        if await coherence.announce(connection, state):
            return None
        if state.run_id not in (run_id, coherence.NOWHERE):
            cache.server.reconnect()
            run_id, clock_ms = await cache.server.clock_ms()
        epoch = state.epoch
        if (state.run_id, state.server) != (run_id, state.server_now):
            await connection.records(coherence._MOVE_LOCK)
            ways = {"run_id": run_id, "nowhere": coherence.NOWHERE, "grace": FENCE_LIFE * CLOCK_MARGIN}
            [(epoch,)] = await connection.records(_MOVE, server=state.server_now, **ways)
        fence, name = Fence(run_id, epoch, state.declaration, clock_ms), secrets.token_hex(8)
        await cache.renew(fence, name, *await coherence.drain(connection, epoch, name), suspended=state.suspended)
    return not state.suspended
