"""What is done to the stand while traffic goes on, one fault after the other, drawn by the seed."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Final

import psutil

from cache.server import SHA
from tests.coherence.through_http.stand import MEMORY, Node, Stand
from tests.kit.proxy import Stop

STEPS: Final[dict[str, tuple[str, bytes]]] = {
    "before the cache is asked": ("redis", SHA["look"].encode()),
    "before a value is stored": ("redis", SHA["fill"].encode()),
    "before the tags are known": ("postgres", b"cache_pending"),
    "before the hold": ("redis", SHA["hold"].encode()),
    "before COMMIT": ("postgres", b"COMMIT"),
    "before the release": ("redis", SHA["release"].encode()),
    "before the suspension": ("postgres", b"cache_suspend"),
    "before the drain leads": ("postgres", b"FOR UPDATE SKIP LOCKED"),
    "before the outbox is emptied": ("postgres", b"DELETE FROM cache_outbox"),
    "before the fence is renewed": ("redis", SHA["renew"].encode()),
}
OFTEN: Final = {"before the hold": 2, "before COMMIT": 2, "before the release": 4}
STEP_LIMIT_S: Final = 8.0
CUT_OFF_S: Final = 0.2, 1, 3, 6
"""Also so long that writers commit under their suspension, which they wait 2.2 s for."""
LEAST_LOST: Final = 3
UNWRITABLE_S: Final = 0.3, 1, 3, 6
PREFIX: Final = "rollcall"
SLOW_DRAIN: Final = timedelta(milliseconds=800)
"""How late it empties the outbox. The fence still stands, so that nothing but holds and suspensions is in the way of
what was there before a write."""


class Faults:
    """`by_name` counts what was done."""

    def __init__(self, stand: Stand, seed: int) -> None:
        self.stand = stand
        self.by_name: Counter[str] = Counter()
        self.last = "nothing yet"
        self._random = random.Random(f"{seed} faults")
        self.done = 0
        self.lost_stamps = self.moved_keys = 0
        self._deck: list[Callable[[], Awaitable[None]]] = []
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.kill_worker: 2,
            self.kill_node: 1,
            self.freeze_worker: 3,
            self.cut_sessions: 3,
            self.restart_postgresql: 1,
            **self._kinds_of_redis(),
        }

    def _kinds_of_redis(self) -> dict[Callable[[], Awaitable[None]], int]:
        """Those that strike what the workers have for Redis, or stop a worker at a proxy before it."""
        if self.stand.watched:
            return {self.fail_over_by_sentinels: 6}
        if self.stand.cluster:
            return {self.reshard: 6}
        return {
            self.kill_at_a_step: 6,
            self.delay_at_a_step: 8,
            self.freeze_valkey: 3,
            self.crash_valkey: 2,
            self.empty_valkey: 2,
            self.slow_valkey: 2,
            self.fill_valkey: 2,
            self.demote_valkey: 2,
            self.fail_over: 2,
            self.cut_off_worker: 3,
            self.cut_off_node: 2,
        }

    def only(self, *names: str) -> None:
        """Draw from these alone."""
        self._kinds = {kind: weight for kind, weight in self._kinds.items() if kind.__name__ in names}

    def leave_out(self, *names: str) -> None:
        """Do not draw these."""
        self._kinds = {kind: weight for kind, weight in self._kinds.items() if kind.__name__ not in names}

    async def next(self) -> None:
        """Do something: every kind once in any order, then again as often as its weight says."""
        if not self._deck:
            often = self._kinds.values() if self.done else [1] * len(self._kinds)
            self._deck = self._random.sample(list(self._kinds), sum(often), counts=list(often))
        fault = self._deck.pop()
        self._note(fault.__name__.replace("_", " "))
        with self._slow_drain(self._random.random() < 0.5):
            await fault()
        self.done += 1

    @contextmanager
    def _slow_drain(self, slow: bool) -> Iterator[None]:
        """So that what only the drain puts right is wrong for long enough to be asked for."""
        empties = STEPS["before the outbox is emptied"][1]
        for node in self.stand.nodes:
            node.postgres.late(empties, SLOW_DRAIN if slow else None)
        try:
            yield
        finally:
            for node in self.stand.nodes:
                node.postgres.late(empties, None)

    def _note(self, name: str) -> None:
        self.last = name
        self.by_name[name] += 1

    def _node(self) -> Node:
        return self._random.choice(self.stand.nodes)

    def _worker(self) -> tuple[Node, psutil.Process]:
        node = self._node()
        return node, self._random.choice(node.workers())

    # ------------------------------------------------------------------------------------------------------- workers

    async def kill_worker(self) -> None:
        """SIGKILL of a worker, wherever it is."""
        node, worker = self._worker()
        ready = node.said["ready"]
        worker.kill()
        await node.replaced(ready)

    async def kill_at_a_step(self) -> None:
        """SIGKILL of whichever worker comes to a step; what it was about to send is sent, or not."""
        node = self._node()
        ready = node.said["ready"]
        async with self._somebody_at_a_step(node) as found:
            if found is not None:
                name, stop, pid = found
                psutil.Process(pid).kill()
                self._note(f"killed {name}, which was {'sent' if self._end(stop) else 'not sent'}")
                await node.replaced(ready)

    async def delay_at_a_step(self) -> None:
        """What a worker sends comes late, or never: shorter or longer than it waits, than a hold, or what may idle."""
        async with self._somebody_at_a_step(self._node()) as found:
            if found is not None:
                name, stop, _ = found
                if self._random.random() < 0.5:  # else everybody would be served by the cache, or nobody
                    await asyncio.to_thread(self._evict)
                await asyncio.sleep(self._random.choice((0.1, 0.3, 1, 3, 6)))
                self._note(f"delayed {name}{'' if self._end(stop) else ', which was not sent'}")

    @asynccontextmanager
    async def _somebody_at_a_step(self, node: Node) -> AsyncIterator[tuple[str, Stop, int] | None]:
        """The name of the step, the place where what is to be sent waits, and whose it is."""
        [name] = self._random.choices(list(STEPS), [OFTEN.get(name, 1) for name in STEPS])
        server, marker = STEPS[name]
        proxy = node.redis if server == "redis" else node.postgres
        stop = proxy.stop_before(marker)
        try:
            async with asyncio.timeout(STEP_LIMIT_S):
                await stop.reached.wait()
        except TimeoutError:
            self._note(f"nobody came to the step {name}")
            pid = None
        else:
            pid = proxy.owner(stop.peer_port)  # None when its connection was cut meanwhile
        try:
            yield None if pid is None else (name, stop, pid)
        finally:
            proxy.forget(stop)

    def _end(self, stop: Stop) -> bool:
        if self._random.random() < 0.5:
            stop.go_on()
            return True
        stop.drop()
        return False

    async def kill_node(self) -> None:
        """Supervisor and workers at once; it is gone for a moment."""
        node = self._node()
        await node.kill()
        await asyncio.sleep(self._random.choice((0, 1, 3)))
        await node.start()

    async def freeze_worker(self) -> None:
        """SIGSTOP, shorter or longer than the fence, a hold, or the limits of sessions."""
        _, worker = self._worker()
        worker.suspend()
        await asyncio.sleep(self._random.choice((0.3, 1, 3, 6, 12)))
        worker.resume()

    # -------------------------------------------------------------------------------------------------------- Valkey

    async def freeze_valkey(self) -> None:
        """It hangs; what is sent to it is done later."""
        self.stand.valkey.freeze()
        await asyncio.sleep(self._random.choice((0.05, 0.3, 1, 3)))
        self.stand.valkey.freeze(on=False)

    async def crash_valkey(self) -> None:
        """It is killed, and comes back with what it had saved a moment before, or with nothing."""
        valkey = self.stand.valkey
        if self._random.random() < 0.7:
            await asyncio.to_thread(valkey.ask, "SAVE")
            await asyncio.sleep(self._random.uniform(0, 1))
        valkey.kill()
        await asyncio.sleep(self._random.choice((0, 0.5, 2.5)))
        await asyncio.to_thread(valkey.start)

    async def empty_valkey(self) -> None:
        """FLUSHALL."""
        await asyncio.to_thread(self.stand.valkey.ask, "FLUSHALL")

    async def slow_valkey(self) -> None:
        """What it answers comes late, also later than anybody waits for."""
        each = timedelta(seconds=self._random.choice((0.05, 0.3, 0.7)))
        for node in self.stand.nodes:
            node.redis.delay(each)
        await asyncio.sleep(self._random.choice((1, 3)))
        for node in self.stand.nodes:
            await node.redis.heal()

    async def fill_valkey(self) -> None:
        """It refuses every command that may take memory, and still tells what it has."""
        await self._tell("CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")
        await asyncio.sleep(self._random.choice(UNWRITABLE_S))
        await self._tell(*(f"CONFIG SET {name} {value}" for name, value in MEMORY.items()))

    async def demote_valkey(self) -> None:
        """It is the replica of a server that is not there: it refuses to write, and still tells what it has."""
        await self._tell("REPLICAOF 127.0.0.1 1")
        await asyncio.sleep(self._random.choice(UNWRITABLE_S))
        await self._tell("REPLICAOF NO ONE")

    async def _tell(self, *commands: str) -> None:
        for command in commands:
            await asyncio.to_thread(self.stand.valkey.ask, command)

    def _evict(self) -> None:
        """Half of the entries are gone, as when memory is short."""
        with self.stand.valkey.client as client:
            if keys := [key for key in client.scan_iter("*:e:*", 1000) if self._random.random() < 0.5]:
                client.unlink(*keys)

    async def fail_over(self) -> None:
        """The replica takes over without the last writes; for a while the nodes may disagree about who serves."""
        old, new = self.stand.valkey, self.stand.valkeys[1 - self.stand.primary]
        first, second = self._random.sample(self.stand.nodes, 2)
        await asyncio.to_thread(new.ask, "REPLICAOF NO ONE")
        await asyncio.sleep(self._random.choice((0, 0.2, 1)))  # what is written now, the new one never hears of
        if self._random.random() < 0.6:
            old.kill()
        first.redis.point_to(new.path)
        await asyncio.sleep(self._random.choice((0, 0.3, 1.5, 3)))
        second.redis.point_to(new.path)
        self.stand.primary = 1 - self.stand.primary
        new.follow(None)
        old.kill()
        old.follow(new)
        await asyncio.to_thread(old.start)

    async def fail_over_by_sentinels(self) -> None:
        """The primary is killed; the replica that Sentinels promote had not got the last writes."""
        assert self.stand.watched is not None
        watched = self.stand.watched
        await watched.cut_off_replica()
        await asyncio.sleep(self._random.choice((0.3, 1, 2)))  # what is written now, the replica never hears of
        with suppress(TimeoutError):
            async with asyncio.timeout(STEP_LIMIT_S):
                while await watched.invalidated() < LEAST_LOST:
                    await asyncio.sleep(0.05)
        self.lost_stamps += await watched.fail_over()
        await watched.take_back()

    async def reshard(self) -> None:
        """The slot of all keys moves to another node; for a while half of them are here and half there."""
        assert self.stand.cluster is not None
        pause_s = self._random.choice((0.3, 1, 3))
        self.moved_keys += await self.stand.cluster.move(PREFIX, lambda: asyncio.sleep(pause_s))

    # ---------------------------------------------------------------------------------------------------- partitions

    async def cut_off_worker(self) -> None:
        """One worker alone loses Redis."""
        node, worker = self._worker()
        node.redis.cut_off(worker.pid)
        await asyncio.sleep(self._random.choice(CUT_OFF_S))
        await node.redis.heal()

    async def cut_off_node(self) -> None:
        """A node loses Redis: refused, hanging, or slow."""
        proxy = self._node().redis
        how = self._random.choice(("refuse", "hang"))
        if how == "refuse":
            await proxy.refuse()
        else:
            proxy.hang()
        await asyncio.sleep(self._random.choice(CUT_OFF_S))
        await proxy.heal()

    # ---------------------------------------------------------------------------------------------------- PostgreSQL

    async def cut_sessions(self) -> None:
        """PostgreSQL ends some sessions, wherever they are."""
        connection = await self.stand.postgres.connect("postgres")
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND usename = 'app' ORDER BY random() LIMIT 4"
            )
        finally:
            await connection.close()

    async def restart_postgresql(self) -> None:
        """In good order, or by a crash."""
        await self.stand.postgres.restart(self._random.choice((signal.SIGINT, signal.SIGQUIT)))
