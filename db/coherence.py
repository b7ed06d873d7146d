"""The database's part of cache coherence: what a transaction touched, the outbox, and who keeps the fence."""

from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.tags import collapse

FENCE_LOCK: Final = 7391

_PENDING: Final = Query("cache_pending", text("SELECT xid, same_redis, tags FROM cache_pending(:run_id)"))
_SUSPEND: Final = Query("cache_suspend", text("SELECT cache_suspend(CAST(:fence AS float8), CAST(:lease AS interval))"))
_STATE: Final = Query(
    "cache_state",
    text("""
    SELECT epoch, run_id, server, suspended_until > clock_timestamp() AS suspended,
           concat_ws('.', (SELECT system_identifier FROM pg_control_system()),
                     (SELECT timeline_id FROM pg_control_checkpoint()), pg_postmaster_start_time()) AS server_now
    FROM cache_state FOR UPDATE SKIP LOCKED"""),
)
_PATIENCE: Final = Query(
    "cache_patience", text("SELECT set_config('idle_in_transaction_session_timeout', '2500', true)")
)
_MOVE_LOCK: Final = Query("cache_move_lock", text("SELECT pg_try_advisory_xact_lock(7391)"))
_MOVE: Final = Query(
    "cache_move",
    text("UPDATE cache_state SET epoch = epoch + 1, run_id = :run_id, server = :server RETURNING epoch"),
)
_DRAIN: Final = Query("cache_drain", text("DELETE FROM cache_outbox RETURNING xid::text, tags"))
_XID: Final = Query("cache_drain_id", text("SELECT pg_current_xact_id()::text"))


class Pending(msgspec.Struct, frozen=True):
    """What the open transaction has touched so far; `same_redis`: the fence lives on the Redis that was named."""

    xid: str
    same_redis: bool
    tags: list[str]


class FenceState(msgspec.Struct, frozen=True, array_like=True):
    """Who keeps the fence where; another `server` than `server_now` is a restored, promoted or restarted PostgreSQL."""

    epoch: int
    run_id: str
    server: str
    suspended: bool
    server_now: str


async def pending(connection: WriteConnection, run_id: str) -> Pending:
    """Ask what this transaction touched; from here to COMMIT it may idle for 2.5 s at most."""
    [(xid, same_redis, tags)] = await connection.records(_PENDING, run_id=run_id)
    return Pending(xid or "", bool(same_redis), collapse(sorted(tags or ())))


async def suspend(connection: WriteConnection, fence: timedelta, lease: timedelta) -> timedelta:
    """Forbid renewals of the fence for `lease`; returns how long the last one may still live."""
    [(wait_s,)] = await connection.records(_SUSPEND, fence=fence.total_seconds(), lease=lease)
    return timedelta(seconds=wait_s)


async def lead(connection: WriteConnection) -> FenceState | None:
    """Take the lead of the drain for this transaction; None when another process has it."""
    await connection.records(_PATIENCE)  # a leader that freezes with the lock loses it
    return await connection.first(_STATE, FenceState)


async def move_fence(connection: WriteConnection, run_id: str, server: str) -> int | None:
    """Begin a new epoch on another Redis or PostgreSQL; None while a writer still counts on the old one."""
    [(free,)] = await connection.records(_MOVE_LOCK)
    if not free:
        return None
    [(epoch,)] = await connection.records(_MOVE, run_id=run_id, server=server)
    return int(epoch)


async def drain(connection: WriteConnection) -> tuple[str, list[tuple[str, str]]]:
    """(id of this drain, (tag, xid) of every committed change), taken out of the outbox."""
    rows = await connection.records(_DRAIN)
    [(drain_id,)] = await connection.records(_XID)
    return drain_id, [(tag, xid) for xid, tags in rows for tag in tags]
