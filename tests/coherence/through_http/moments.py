"""The moment in which each safeguard is missed, brought about step by step under real nodes and asked through HTTP.

Nothing else goes on, and the node that writes is stopped where it matters: so a safeguard that is missing is found each
time, while the random run has to happen to be there. The check is the same.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import psutil

from db.tags import EMPLOYEE_ANY
from tests.cluster.conftest import ROOT
from tests.coherence.through_http.client import Client
from tests.coherence.through_http.faults import MEMORY, PREFIX, STEPS
from tests.coherence.through_http.psql import Session
from tests.coherence.through_http.run import Run, at_work
from tests.coherence.through_http.stand import Node
from tests.kit.proxy import Stop
from tests.kit.sequencer import within

WRITTEN: Final = 2
"""The employee whom everything is about."""
PENDING, COVERED, COMMIT = b"cache_pending", b"cache_covered", b"COMMIT"
LATE_DRAIN: Final = timedelta(seconds=2.2)
"""Longer than what is left of a fence, shorter than a leader may idle for."""
UNDER_WAY_S: Final = 0.1
"""What a drain had begun before it was made late."""
FILLED_S: Final = 0.03
"""An entry leaves its worker 20 ms after it was made."""
BEFORE_ITS_END_S: Final = 1.6
"""After a suspension began; who began it commits after 2.2 s."""
QUIET_S: Final = 1.6
"""A suspension may end 1 s after the last one who began it, who may idle for 2.5 s before COMMIT."""
FAILED_OVER_S: Final = 4.2
"""Who has held may idle for 5 s before COMMIT."""
ASKED: Final = 4
HITS: Final = 3
LIMIT_S: Final = 30
TRIES: Final = 3


class Moments:
    """One employee is written at one node and asked for at the other one, again and again by other workers."""

    def __init__(self, run: Run, session: Session) -> None:
        self._run, self._traffic, self._session = run, run.traffic, session
        self._written_at, self._asked_at = run.stand.nodes
        self._choice = Random(run.traffic.seed)
        self._question = run.traffic.questions(self._choice).node(WRITTEN)

    def swap(self) -> None:
        """Write at the other node, and ask at this one."""
        self._written_at, self._asked_at = self._asked_at, self._written_at

    async def happen(self, moment: "Moment") -> None:
        """Bring it about; once more when the write was not done, since PostgreSQL had ended it."""
        kinds = self._traffic.kinds
        done = kinds["save"] + kinds["psql"]
        for _ in range(TRIES):
            await moment(self)
            if kinds["save"] + kinds["psql"] > done:
                return
        raise AssertionError(f"not in {TRIES} tries: {self._traffic.failures}")

    # ------------------------------------------------------------------------------------------------------- moments

    async def between_hold_and_release(self) -> None:
        """Asked for before COMMIT, after it while its writer is frozen and no drain comes, and after the release."""
        await self._cached()
        async with self._no_drain():
            writing, commit = await self._stopped_before_commit()
            await self._ask()
            with self._frozen(commit):
                await self._committed(writing, commit)
                await self._ask()
            await writing
            await self._ask()

    async def cut_off(self) -> None:
        """The node that writes has no Redis; the other one has, and no drain comes."""
        await self._cached()
        await self._written_at.redis.refuse()
        async with self._no_drain():
            writing = asyncio.create_task(self._write())
            await self._committed(writing)
            await self._ask()
        await writing
        await self._written_at.redis.heal()

    async def waiting_under_a_suspension(self) -> None:
        """So too; drains come until just before it commits."""
        await self._cached()
        await self._written_at.redis.refuse()
        writing = asyncio.create_task(self._write())
        left_s = await self._found(
            "SELECT extract(epoch FROM suspended_from - clock_timestamp())::float8 FROM cache_state"
            " WHERE suspended_until > clock_timestamp()",
            writing,
        )
        await asyncio.sleep((left_s or 0) + BEFORE_ITS_END_S)
        async with self._no_drain():
            await self._committed(writing)
            await self._ask()
        await writing
        await self._written_at.redis.heal()

    async def committing_under_a_suspension(self) -> None:
        """So too; it stops before COMMIT for so long that the suspension could end."""
        await self._cached()
        postgres = self._written_at.postgres
        await self._written_at.redis.refuse()
        covered = postgres.stop_before(COVERED)
        writing = asyncio.create_task(self._write())
        await within(covered.reached.wait())
        covered_again = postgres.stop_before(COVERED, covered)
        covered.go_on()
        await self._session.execute(
            "UPDATE cache_state SET ends_from = ends_from + interval '2 s'"
        )  # others suspend too
        await within(covered_again.reached.wait())
        commit = postgres.stop_before(COMMIT, covered)
        covered_again.go_on()
        await within(commit.reached.wait())
        await self._cached(QUIET_S)
        async with self._no_drain():
            await self._committed(writing, commit)
            await self._ask()
        await writing
        await self._written_at.redis.heal()

    async def full(self) -> None:
        """Valkey takes nothing and tells what it has, and no drain comes."""
        await self._cached()
        async with self._no_drain():
            await self._tell_valkey("CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")
            writing = asyncio.create_task(self._write())
            await self._committed(writing)
            await self._ask()
        await writing
        await self._tell_valkey(*(f"CONFIG SET {name} {value}" for name, value in MEMORY.items()))

    async def outside(self) -> None:
        """Somebody with psql writes; it counts when the life of a fence is over."""
        await self._cached()
        await self._run.psql.write_to(self._session, WRITTEN)

    async def failed_over(self) -> None:
        """What was held is lost with the primary before COMMIT."""
        watched = self._run.stand.watched
        assert watched is not None
        await self._cached()
        await watched.cut_off_replica()
        writing, commit = await self._stopped_before_commit()
        began_s = asyncio.get_running_loop().time()
        await watched.fail_over()
        await self._cached(FAILED_OVER_S - (asyncio.get_running_loop().time() - began_s))
        with self._frozen(commit):
            await self._committed(writing, commit)
            await self._ask()
        await writing
        await watched.take_back()

    async def half_moved(self) -> None:
        """In a Cluster, what has to be held is partly at another node, and what is asked for is not; no drain comes."""
        cluster = self._run.stand.cluster
        assert cluster is not None

        async def half() -> None:
            async with self._no_drain():
                writing = asyncio.create_task(self._write())
                await self._committed(writing)
                await self._ask()
            await writing

        await self._cached()
        assert await cluster.move(PREFIX, half, [f"{{{PREFIX}}}:s:{EMPLOYEE_ANY()}"]) == 1

    # --------------------------------------------------------------------------------------------------------- steps

    async def _ask(self) -> None:
        for _ in range(ASKED):
            await self._look()
            await asyncio.sleep(FILLED_S)

    async def _look(self) -> bool:
        """Whether it was told from the cache, by whichever worker."""
        client = self._client(self._asked_at)
        try:
            told = await self._traffic.look(client, self._question, "the reader")
        finally:
            client.close()
        return told is not None and "hit" in told.how

    async def _cached(self, most_s: float = 0) -> None:
        """Ask until the cache answers, for `most_s` if that may never be."""
        hits = 0
        try:
            async with asyncio.timeout(most_s or LIMIT_S):
                while hits < HITS:
                    hits = hits + 1 if await self._look() else 0
        except TimeoutError:
            assert most_s

    async def _write(self) -> None:
        client = self._client(self._written_at)
        try:
            await self._traffic.save(client, WRITTEN)
        finally:
            client.close()

    def _client(self, node: Node) -> Client:
        return self._traffic.client("hr", self._run.stand.nodes.index(node), self._choice)

    async def _stopped_before_commit(self) -> tuple["asyncio.Task[None]", Stop]:
        postgres = self._written_at.postgres
        pending = postgres.stop_before(PENDING)
        writing = asyncio.create_task(self._write())
        await within(pending.reached.wait())
        commit = postgres.stop_before(COMMIT, pending)
        pending.go_on()
        await within(commit.reached.wait())
        return writing, commit

    async def _committed(self, writing: "asyncio.Task[None]", commit: Stop | None = None) -> None:
        """Somebody with psql has seen the new row, so that it has been told."""
        register = self._traffic.numbers.version[WRITTEN]
        newer = f"SELECT version FROM employee WHERE id = {WRITTEN} AND version > {register.floor}"
        if commit is not None:
            commit.go_on()
        if (version := await self._found(newer, writing)) is not None:
            register.told(version, "psql")

    async def _found(self, sql: str, writing: "asyncio.Task[None]") -> Any:
        """None when the write has ended, on a busy machine mostly by PostgreSQL, and nothing was found."""
        while (found := await self._session.fetchval(sql)) is None and not writing.done():
            await asyncio.sleep(0.002)
        return found

    async def _tell_valkey(self, *commands: str) -> None:
        for command in commands:
            await asyncio.to_thread(self._run.stand.valkey.ask, command)

    @contextmanager
    def _frozen(self, stop: Stop) -> Iterator[None]:
        """The worker that is stopped there does nothing of what comes after it."""
        pid = self._written_at.postgres.owner(stop.peer_port)
        assert pid is not None
        worker = psutil.Process(pid)
        worker.suspend()
        try:
            yield
        finally:
            worker.resume()

    @asynccontextmanager
    async def _no_drain(self) -> AsyncIterator[None]:
        leads = STEPS["before the drain leads"][1]
        for node in self._run.stand.nodes:
            node.postgres.late(leads, LATE_DRAIN)
        await asyncio.sleep(UNDER_WAY_S)
        try:
            yield
        finally:
            for node in self._run.stand.nodes:
                node.postgres.late(leads, None)


Moment: TypeAlias = Callable[[Moments], Awaitable[None]]
MOMENTS: Final[dict[str, tuple[Moment, ...]]] = {
    "pair": (
        Moments.between_hold_and_release,
        Moments.cut_off,
        Moments.waiting_under_a_suspension,
        Moments.committing_under_a_suspension,
        Moments.full,
        Moments.outside,
    ),
    "sentinel": (Moments.failed_over, Moments.between_hold_and_release),
    "cluster": (Moments.half_moved, Moments.between_hold_and_release),
}
"""By what the workers have for Redis."""


@asynccontextmanager
async def moments(seed: int, redis: str, removed: str = "", root: Path = ROOT) -> AsyncIterator[tuple[Run, Moments]]:
    """Bring everything up; nobody is at work but who is in the moments."""
    async with at_work(seed, redis, removed, root=root) as run:
        session = await run.stand.postgres.connect("postgres")
        try:
            yield run, Moments(run, session)
        finally:
            session.terminate()
