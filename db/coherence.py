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
ON_ITS_WAY: Final = ">"
"""Before the run_id of a Redis to which the fence has moved while writers may still count on another place."""
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
    SELECT epoch, run_id, server, declaration, last_drain, suspended_until <> '-infinity' AS suspended,
           least(ends_from, suspended_until) <= clock_timestamp() AS may_end,
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
      holds_from = CASE WHEN run_id IN (:run_id, :on_its_way, :nowhere) THEN holds_from
                        WHEN suspended_until > clock_timestamp() THEN suspended_from + CAST(:grace AS interval)
                        ELSE clock_timestamp() + CAST(:grace AS interval) END,
      run_id = :on_its_way, server = :server, last_drain = ''"""),
)
_ARRIVE: Final = Query("cache_arrive", text("UPDATE cache_state SET run_id = :run_id"))
_END: Final = Query(
    "cache_end_suspension",
    text("""
    UPDATE cache_state SET suspended_until = '-infinity' WHERE pg_try_advisory_xact_lock(7392) RETURNING true"""),
)
_FORGET: Final = Query(
    "cache_forget",
    text("DELETE FROM cache_outbox WHERE (SELECT in_use_until < clock_timestamp() FROM cache_state)"),
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

    `last_drain` is the last one that changed anything in the Redis of the epoch, "" before any did. A suspension
    stands until a leader has ended it, also when its time is over: a COMMIT may take longer.
    """

    epoch: int
    run_id: str
    server: str
    declaration: str
    last_drain: str
    suspended: bool
    may_end: bool
    in_use_s: float
    server_now: str

    @property
    def home(self) -> str:
        """The run_id of the Redis that the fence stands on, or is on its way to."""
        return self.run_id.removeprefix(ON_ITS_WAY)

    @property
    def on_its_way(self) -> bool:
        """Whether writers may still count on another place than the one that the fence is to stand on."""
        return self.run_id.startswith(ON_ITS_WAY)


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


async def move_fence(connection: WriteConnection, run_id: str, server: str, grace: timedelta) -> None:
    """Begin a new epoch on another Redis or PostgreSQL. Commit that before a fence is made there.

    Until `grace` is over a fence may be alive on the Redis that is left, so that holds on the new one mean nothing.
    """
    ways = {"run_id": run_id, "on_its_way": ON_ITS_WAY + run_id, "nowhere": NOWHERE}
    await connection.execute(_MOVE, server=server, grace=grace, **ways)


async def arrive(connection: WriteConnection, run_id: str) -> None:
    """Let the fence be made where it has moved, once no writer counts on another place any more."""
    await connection.records(_MOVE_LOCK)
    await connection.execute(_ARRIVE, run_id=run_id)


async def end_suspension(connection: WriteConnection) -> bool:
    """End it if no writer that counts on it is still to commit. Commit that before renewing the fence.

    Or a writer that comes next would think that no fence had been renewed since the suspension began.
    """
    return bool(await connection.records(_END))


async def forget_unused(connection: WriteConnection) -> None:
    """Empty the outbox where nobody caches, and so nobody drains: who begins to cache uses no entry from before.

    What is forgotten is flushed, as what a drain finds is: the position of the next one is to be above it.
    """
    if await connection.execute(_FORGET) and connection.major_version >= FLUSHES_SINCE:
        await connection.records(_PLACE, found=True)


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
