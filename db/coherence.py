"""The database's part of cache coherence: what a transaction touched, the outbox, and who keeps the fence."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import SERVER_COLUMNS, Query, ReadConnection, WriteConnection
from db.tags import collapse
from domain.consistency import Position

IN_USE: Final = timedelta(seconds=60)
NOWHERE: Final = "nowhere"
MOST_DRAINED: Final = 5_000
FLUSHES_SINCE: Final = 17
"""From this version on PostgreSQL flushes its log on request."""

_PENDING: Final = Query(
    "cache_pending", text("SELECT xid, same_redis, holds_in_s, unused, tags FROM cache_pending(:run_id)")
)
_SUSPEND: Final = Query("cache_suspend", text("SELECT cache_suspend(CAST(:fence AS float8), CAST(:lease AS interval))"))
_COVERED: Final = Query("cache_covered", text("SELECT cache_covered(CAST(:fence AS float8))"))
_PATIENCE: Final = Query(
    "cache_patience",
    text("""
    SELECT set_config('idle_in_transaction_session_timeout', '2500', true), set_config('lock_timeout', '300', true)"""),
)
_STATE: Final = Query(
    "cache_state",
    text("""
    SELECT epoch, run_id, server, declaration, last_drain, suspended_until > clock_timestamp() AS suspended,
           CAST(extract(epoch FROM greatest(in_use_until, '1970-01-01') - clock_timestamp()) AS float8) AS in_use_s,
           cache_server() AS server_now
    FROM cache_state FOR UPDATE SKIP LOCKED"""),
)
_MOVE_LOCK: Final = Query("cache_move_lock", text("SELECT pg_advisory_xact_lock(7391)"))
_ANNOUNCE: Final = Query(
    "cache_announce",
    text("""
    UPDATE cache_state SET in_use_until = clock_timestamp() + CAST(:life AS interval),
      run_id = CASE WHEN in_use_until < clock_timestamp() THEN :nowhere ELSE run_id END"""),
)
# epochs are never counted: a restored database would count the same ones again
_MOVE: Final = Query(
    "cache_move",
    text("""
    UPDATE cache_state SET epoch = ('x' || substr(md5(gen_random_uuid()::text), 1, 15))::bit(60)::bigint,
      holds_from = CASE WHEN run_id IN (:run_id, :nowhere) THEN holds_from
                        WHEN suspended_until > clock_timestamp() THEN suspended_from + CAST(:grace AS interval)
                        ELSE clock_timestamp() + CAST(:grace AS interval) END,
      run_id = :run_id, server = :server, last_drain = '' RETURNING epoch"""),
)
_UNDRAINED: Final = Query(
    "cache_undrained", text("SELECT EXISTS (SELECT FROM cache_outbox WHERE tags && CAST(:tags AS text[]))")
)
_OUTSIDE: Final = Query("cache_outside", text("SELECT EXISTS (SELECT FROM cache_outbox WHERE outside)"))
_DRAIN: Final = Query(
    "cache_drain",
    text("""
    WITH drained AS (DELETE FROM cache_outbox RETURNING xid, tags),
         noted AS (UPDATE cache_state SET last_drain = :drain
                   WHERE last_drain = '' OR EXISTS (SELECT FROM drained WHERE cardinality(tags) > 0))
    SELECT xid::text, tags FROM drained"""),
)
# What is written but not flushed never gets to a replica if the primary dies now. Commits of others need not be flushed
# (synchronous_commit = off): so a drain that found some flushes, and one without any relies on those before it.
_PLACE: Final = Query(
    "cache_drain_place",
    text(f"""
    SELECT {SERVER_COLUMNS}, CAST(CASE WHEN CAST(:found AS boolean)
      THEN pg_logical_emit_message(false, 'rollcall', '', true)
      ELSE pg_current_wal_flush_lsn() END - '0/0' AS bigint)"""),
)
_PLACE_UNFLUSHED: Final = Query(
    "cache_drain_place",
    text(f"SELECT {SERVER_COLUMNS}, CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"),
)


class Pending(msgspec.Struct, frozen=True):
    """What the open transaction has touched so far, and how it can be withheld from readers until it is committed.

    `same_redis`: by holding its tags, since the fence lives on the Redis that was named; `holds_in_s`: once so many
    seconds are over, since it has just moved there. `unused`: nobody caches.
    """

    xid: str
    same_redis: bool
    holds_in_s: float
    unused: bool
    tags: list[str]


class FenceState(msgspec.Struct, frozen=True, array_like=True):
    """Who keeps the fence where; another `server` than `server_now` is a restored, promoted or restarted PostgreSQL.

    `last_drain` is the last one that changed anything in the Redis of the epoch, "" before any did.
    """

    epoch: int
    run_id: str
    server: str
    declaration: str
    last_drain: str
    suspended: bool
    in_use_s: float
    server_now: str


async def pending(connection: WriteConnection, run_id: str) -> Pending:
    """Ask what this transaction touched; from here to COMMIT it may idle for 5 s at most."""
    [(xid, same_redis, holds_in_s, unused, tags)] = await connection.records(_PENDING, run_id=run_id)
    return Pending(xid or "", bool(same_redis), holds_in_s, bool(unused), collapse(sorted(tags)))


async def suspend(connection: WriteConnection, fence: timedelta, lease: timedelta) -> None:
    """Forbid renewals of the fence for `lease`."""
    await connection.records(_SUSPEND, fence=fence.total_seconds(), lease=lease)


async def covered(connection: WriteConnection, fence: timedelta) -> timedelta | None:
    """Asked by a transaction under a suspension: how long the last fence may still live.

    None when the suspension would end too soon to commit under it; at zero the time to commit is now.
    """
    [(wait_s,)] = await connection.records(_COVERED, fence=fence.total_seconds())
    return None if wait_s is None else timedelta(seconds=wait_s)


async def lead(connection: WriteConnection) -> FenceState | None:
    """Take the lead of the drain for this transaction; None when another process has it."""
    await connection.records(_PATIENCE)  # a leader that freezes with the lock loses it
    return await connection.first(_STATE, FenceState)


async def announce(connection: WriteConnection, state: FenceState) -> bool:
    """Tell writers that the cache is used; True when that had to be written: commit it before renewing the fence.

    Beginning to use it waits for the writers that were told that nobody does. Going on must not, or they could keep the
    cache off for ever; a third of the time is left for a slow commit.
    """
    if state.in_use_s > IN_USE.total_seconds() / 2:
        return False
    if state.in_use_s < IN_USE.total_seconds() / 3:
        await connection.records(_MOVE_LOCK)
    await connection.execute(_ANNOUNCE, life=IN_USE, nowhere=NOWHERE)
    return True


async def move_fence(connection: WriteConnection, run_id: str, server: str, grace: timedelta) -> int:
    """Begin a new epoch on another Redis or PostgreSQL, once no writer counts on the old one any more.

    Until `grace` is over a fence may be alive on the Redis that is left, so that holds on the new one mean nothing.
    """
    await connection.records(_MOVE_LOCK)
    [(epoch,)] = await connection.records(_MOVE, run_id=run_id, server=server, grace=grace, nowhere=NOWHERE)
    return int(epoch)


async def undrained(connection: ReadConnection, tags: Sequence[str]) -> bool:
    """Whether a change of these tags that the connection sees may not have reached their stamps yet."""
    [(found,)] = await connection.records(_UNDRAINED, tags=list(tags))
    return bool(found)


async def is_written_outside(connection: ReadConnection) -> bool:
    """Whether somebody else's change waits in the outbox: who wrote it restamps nothing."""
    [(found,)] = await connection.records(_OUTSIDE)
    return bool(found)


async def drain(connection: WriteConnection, epoch: int, name: str) -> tuple[list[tuple[str, str]], Position]:
    """((tag, xid) of every committed change, where the log was then), taken out of the outbox by the drain `name`.

    When there are too many tags their tables stand for them.
    """
    rows = await connection.records(_DRAIN, drain=name)
    # after it: whatever was seen is below this position
    if connection.major_version >= FLUSHES_SINCE:
        [place] = await connection.records(_PLACE, found=bool(rows))
    else:
        [place] = await connection.records(_PLACE_UNFLUSHED)
    position = Position(*place)
    touched = {(tag, f"{epoch}-{xid}") for xid, tags in rows for tag in tags}
    if len(touched) > MOST_DRAINED:
        return [(table, "") for table in collapse([tag for tag, _ in touched])], position
    return sorted(touched), position
