"""What goes past the service: who writes and knows nothing of the cache, and who sees what was committed.

Whoever was told by psql has been told: so a write counts from its COMMIT on, long before it is acknowledged.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import asyncpg

from tests.coherence.through_http.client import Failed
from tests.coherence.through_http.questions import hot
from tests.coherence.through_http.registers import Register
from tests.coherence.through_http.traffic import Traffic

READS_A_WRITE: Final = 300
WATCH_S: Final = 0.03
GONE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Psql:
    """Two sessions of psql beside the traffic."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._random = random.Random(f"{traffic.seed} psql")
        self.writes = self.watched = 0
        self.shown_s: list[float] = []
        """How long after its COMMIT the last request began that was told a row as it was before; 0 if none was.

        When its answer came says nothing: one that began before the write may wait in a frozen worker for seconds.
        """

    async def write(self) -> None:
        """Change rows, and look through the service how soon it shows."""
        await self._as_long_as_asked(self._write_or_wait)

    async def watch(self) -> None:
        """Look at every row again and again."""
        await self._as_long_as_asked(self._look)

    async def _as_long_as_asked(self, work: Callable[[Session], Awaitable[None]]) -> None:
        session: Session | None = None
        try:
            while not self._traffic.stopping:
                try:
                    if session is None or session.is_closed():
                        session = await self._traffic.stand.postgres.connect()
                    await work(session)
                except GONE as error:
                    self._traffic.failed("psql", Failed(type(error).__name__))
                    if session is not None:
                        session.terminate()
                    session = None
                    await asyncio.sleep(0.1)
        finally:
            if session is not None:
                session.terminate()

    async def _look(self, session: Session) -> None:
        versions = self._traffic.numbers.version
        rows = await session.fetch("SELECT id, version FROM employee WHERE id <= $1", len(versions), timeout=20)
        for id_, version in rows:
            versions[id_].told(version, "psql")
        self.watched += len(rows)
        await asyncio.sleep(WATCH_S)

    async def _write_or_wait(self, session: Session) -> None:
        if self.writes * READS_A_WRITE > self._traffic.reads:
            await asyncio.sleep(0.05)
            return
        self.writes += 1
        await self.write_to(session, hot(self._random))

    async def write_to(self, session: Session, id_: int) -> None:
        """Change the row of an employee, and look until it shows."""
        traffic, run_id = self._traffic, self._traffic.run_id("psql")
        register = traffic.numbers.version[id_]
        traffic.numbers.written.append(id_)
        register.begin(run_id)
        version, committed = None, False
        try:
            async with session.transaction():
                version = await session.fetchval(
                    "UPDATE employee SET full_name = $1, version = version + 1 WHERE id = $2 RETURNING version",
                    f"E{id_:03} {run_id}",
                    id_,
                    timeout=20,
                )
                register.outside(version)
            committed = True
        except BaseException:
            traffic.unknown.add(run_id)
            raise
        finally:
            if version is not None:
                register.outside_ended(version, committed=committed)
        traffic.saved[run_id] = id_, version
        traffic.kinds["psql"] += 1
        traffic.done += 1
        await self._until_shown(register, version, id_)

    async def _until_shown(self, register: Register, version: int, id_: int) -> None:
        """For how long a row that was in the cache is told as it was before."""
        traffic, committed_s, old_s = self._traffic, time.monotonic(), 0.0
        client = traffic.client("hr", self._random.randrange(len(traffic.stand.nodes)), self._random)
        question = traffic.questions(self._random).node(id_)
        while (asked_s := time.monotonic() - committed_s) < 10:
            told = await traffic.look(client, question, "psql's friend")
            if told is not None:
                if told.data["node"]["version"] >= version:
                    self.shown_s.append(old_s)
                    break
                old_s = asked_s
            await asyncio.sleep(0.02)
        client.close()
