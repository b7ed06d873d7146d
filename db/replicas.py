"""Replicas of the primary: one may be asked once it has replayed what a read needs."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.errors import Behind, Unreachable
from domain.consistency import Position
from domain.errors import Unavailable

if TYPE_CHECKING:
    from db.database import Database

R = TypeVar("R")

REST_S: Final = 0.02
AWAY_REST_S: Final = 0.5

_STATE: Final = Query(
    "replica_state",
    text("""
    SELECT pg_is_in_recovery(), server, CAST(coalesce(pg_last_wal_replay_lsn(), '0/0') - '0/0' AS bigint),
      EXISTS (SELECT FROM pg_stat_wal_receiver),
      coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), true) OR EXISTS (
        SELECT FROM pg_stat_activity WHERE backend_type = 'startup'
        AND wait_event IN ('RecoveryRetrieveRetryInterval', 'RecoveryWalStream'))
    FROM cache_state"""),
)


class State(msgspec.Struct, frozen=True, array_like=True):
    """A replica at a moment. `server` is the primary whose writes it replays, as that said itself.

    `follows`: it is connected to its primary. `has_all`: everything that it has received is replayed, but perhaps for a
    last record that came in part; only who has pg_monitor sees that it waits for the rest of one.
    """

    in_recovery: bool
    server: str
    lsn: int
    follows: bool
    has_all: bool

    def has(self, needed: Position) -> bool:
        """Whether everything up to a position is replayed; what a session has once seen stays so."""
        return self.in_recovery and self.server == needed.server and self.lsn >= needed.lsn


class Replica:
    """One replica, with what is known of it: by session, since one that was restarted may be further behind."""

    def __init__(self, database: "Database") -> None:
        self.database = database
        self._not_before_s = 0.0
        self._states: WeakKeyDictionary[object, State] = WeakKeyDictionary()

    @property
    def rests(self) -> bool:
        """Whether it was found away or behind a moment ago."""
        return time.monotonic() < self._not_before_s

    def rest(self, seconds: float) -> None:
        """Leave it alone for a moment."""
        self._not_before_s = time.monotonic() + seconds

    async def has(self, connection: ReadConnection, needed: Position, *, alone: bool) -> Position | None:
        """How far it has replayed, if that is far enough."""
        state = self._states.get(connection.session)
        if alone or state is None or not state.has(needed):
            state = await connection.first(_STATE, State)
            if state is None or not state.has(needed) or (alone and (state.follows or not state.has_all)):
                return None
            self._states[connection.session] = state
        return Position(state.server, needed.timeline, state.lsn)


class Replicas:
    """All replicas; `wait` is how long one that is behind is waited for before the primary is asked."""

    def __init__(self, databases: Sequence["Database"], wait: timedelta = timedelta()) -> None:
        self.wait = wait
        self._replicas = [Replica(database) for database in databases]

    def __bool__(self) -> bool:
        return bool(self._replicas)

    async def ask(
        self, needed: Position, wait: timedelta, work: Callable[[ReadConnection], Awaitable[R]], *, alone: bool = False
    ) -> tuple[R, Position]:
        """What `work` finds on a replica that has replayed `needed`, and how far that had replayed before.

        Raises Behind when there is none within `wait`. `alone`: it must also have lost its primary, and have replayed
        everything that it got from there.
        """
        deadline_s = time.monotonic() + wait.total_seconds()
        while True:
            for replica in random.sample(self._replicas, len(self._replicas)):
                found = None if replica.rests else await _asked(replica, needed, work, alone=alone)
                if found is not None:
                    return found
            if time.monotonic() >= deadline_s:
                raise Behind("no replica has what was written last: try again")
            await asyncio.sleep(REST_S)

    async def ping(self) -> None:
        """Ask for a sign of life; raises Unreachable without one."""
        for replica in self._replicas:
            try:
                await replica.database.ping()
            except Unavailable:
                continue
            return
        raise Unreachable("neither the primary nor a replica of the database can be reached now")

    async def close(self) -> None:
        """Close every connection."""
        for replica in self._replicas:
            await replica.database.close()


async def _asked(
    replica: Replica, needed: Position, work: Callable[[ReadConnection], Awaitable[R]], *, alone: bool
) -> tuple[R, Position] | None:
    """None when it is away, behind, or gives up: its replay may cancel a statement that is in its way."""
    try:
        async with replica.database.read() as connection:
            replayed = await replica.has(connection, needed, alone=alone)
            if replayed is not None:
                return await work(connection), replayed
        replica.rest(REST_S)
    except Unreachable:
        replica.rest(AWAY_REST_S)
    except Unavailable:
        pass
    return None
