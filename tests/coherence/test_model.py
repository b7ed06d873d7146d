"""A state machine over the real protocol: reads, writes, drains of three workers, each stopped at any step, and faults.

PostgreSQL, Valkey, the Lua and all of our code are the real ones; hypothesis decides who goes on next. Nothing waits
for time to pass: time is moved, by moving every deadline that is written down in either server. What may be told is
checked as in the fault run (`through_http/registers.py`).
"""

import asyncio
import os
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

import loaders.unit_of_work
from domain.errors import RollcallError
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.unit_of_work import unit_of_work
from tests.coherence import model_answers, model_faults
from tests.coherence.model_faults import Saved
from tests.coherence.model_ground import WORKERS, Clock, Ground, move_deadlines, opened
from tests.coherence.model_steps import (
    COMMIT,
    DRAIN_STEPS,
    FAULTS,
    READ_STEPS,
    RELEASE,
    WRITE_STEPS,
    Paused,
    gate,
    list_stopping_at,
    row_stopping_at,
    stop_at,
)
from tests.coherence.through_http.registers import Register, Registers
from tests.coherence.torture_worker import WRITE
from tests.kit.databases import Databases
from tests.kit.proxy import Stop

T = TypeVar("T")
ROWS: Final = 2
HOLD_IDLE_S: Final = 5.0  # of a session between the question for its tags and COMMIT
WEAKENED: Final = bool(os.environ.get("WITHOUT"))
EXAMPLES: Final = int(os.environ.get("MODEL_EXAMPLES", "60" if WEAKENED else "12"))
STEPS: Final = int(os.environ.get("MODEL_STEPS", "40"))
MOVE: Final = """
    UPDATE cache_state SET (suspended_from, suspended_until, ends_from, holds_from, in_use_until) =
      (suspended_from - by, suspended_until - by, ends_from - by, holds_from - by, in_use_until - by)
    FROM make_interval(secs => :s) AS by"""
STOP: ContextVar[Stop | None] = ContextVar("STOP", default=None)
"""Where the writer that is running is to stop."""
workers = st.integers(0, WORKERS - 1)
rows = st.integers(1, ROWS)


class Model(RuleBasedStateMachine):
    """Rules are what may happen next."""

    ground: Ground

    def __init__(self) -> None:
        super().__init__()
        self.loop = self.ground.loop
        self.registers = Registers(lambda: self.ground.clock_s)
        self.versions = {row: self.registers.add(f"row {row}", 1) for row in range(1, ROWS + 1)}
        self.paused: list[Paused] = []
        self.saved: Saved = {}
        self.kept: list[tuple[int, bytes, dict[str, bytes], dict[int, int]]] = []
        self._run_ids = count(1)
        vars(loaders.unit_of_work)["asyncio"] = Clock(self.waiting)
        self.prefix = self._do(self.ground.begin())

    # --------------------------------------------------------------------------------------------------------- rules

    @rule(worker=workers, row=rows, whole=st.booleans(), step=st.sampled_from(READ_STEPS))
    def read(self, worker: int, row: int, whole: bool, step: bytes | None) -> None:
        """A row, or the whole list."""
        stop = stop_at(self.ground.workers[worker], step)
        self._start(Paused("read", worker, 0, stop), self._read(worker, row, stop, whole=whole))

    @rule(worker=workers, row=rows, step=st.sampled_from(WRITE_STEPS))
    def write(self, worker: int, row: int, step: bytes | None, then: bytes | None = None) -> None:
        """Through the unit of work; two writers of a row would only wait for each other."""
        if all(paused.row != row for paused in self.paused):
            stop = stop_at(self.ground.workers[worker], step)
            self._start(Paused("write", worker, row, stop, then), self._write(worker, row, stop))

    @rule(worker=workers, row=rows)
    def write_in_two_steps(self, worker: int, row: int) -> None:
        """It stands before COMMIT, and once more before its release; when it stood first Redis was emptied."""
        self.refresh(worker)
        already = len(self.paused)
        self.write(worker, row, COMMIT, RELEASE)
        self._evict(worker, "")
        self.refresh((worker + 1) % WORKERS)
        if len(self.paused) > already:
            self.go_on(already, sent=True)
        self.everybody_asks(worker, listed_first=False)

    @rule(worker=workers, row=rows)
    def lose_a_write(self, worker: int, row: int) -> None:
        """Redis gets back what it had before a write that has been drained since."""
        self.refresh(worker)
        self._save()
        self.write(worker, row, None)
        self.drain(worker, None)
        self._go_back()
        self.refresh(worker)

    @rule(worker=workers, row=rows, step=st.sampled_from(WRITE_STEPS[1:]), gone=st.sampled_from(("e:row", "e:listed")))
    def write_watched(self, worker: int, row: int, step: bytes, gone: str) -> None:
        """While a writer stands at a step everybody asks, some from the cache and some from the database."""
        self.refresh(worker)
        self._evict(worker, gone)
        self.write(worker, row, step)
        self.everybody_asks(worker, listed_first=gone == "e:listed")

    @rule(worker=workers, row=rows, whole=st.booleans(), step=st.sampled_from(READ_STEPS[1:]))
    def read_overtaken(self, worker: int, row: int, whole: bool, step: bytes) -> None:
        """While a reader stands at a step somebody else writes; then it goes on."""
        self._evict(worker, "e")
        already = len(self.paused)
        self.read(worker, row, whole, step)
        self.write((worker + 1) % WORKERS, row, None)
        if len(self.paused) > already:
            self.go_on(already, sent=True)
        self.everybody_asks(worker, listed_first=whole)

    @rule(row=rows)
    def psql(self, row: int) -> None:
        """From outside; it counts once the fence's life is over."""
        if any(paused.row == row or paused.kind == "drain" for paused in self.paused):
            return
        register, run_id = self.versions[row], f"psql {next(self._run_ids)}"
        register.begin(run_id)
        self._do(self._psql(row, register))

    @rule(worker=workers, step=st.sampled_from(DRAIN_STEPS))
    def drain(self, worker: int, step: bytes | None) -> None:
        """One tick."""
        if all(paused.kind != "drain" for paused in self.paused):
            stop = stop_at(self.ground.workers[worker], step)
            self._start(Paused("drain", worker, 0, stop), self._drain(worker))

    @rule(number=st.integers(0, 20), sent=st.sampled_from((True, True, True, False)))
    def go_on(self, number: int, sent: bool) -> None:
        """Somebody who was stopped goes on; or what was about to be sent never is, and its connection is gone."""
        if not self.paused:  # no precondition: how far somebody came may depend on how busy the machine is
            return
        paused = self.paused.pop(number % len(self.paused))
        self._do(self._go_on(paused, sent))

    @rule(worker=workers, number=st.integers(0, 20))
    def use_kept(self, worker: int, number: int) -> None:
        """A whole answer that a worker kept, if nothing that it rests on has changed."""
        if not self.kept:
            return
        owner, fence, stamps, told = self.kept[number % len(self.kept)]
        glance = self.registers.glance(f"kept answer of worker {owner}", [self.versions[row] for row in told])
        if self._do(self.ground.workers[owner].cache.unchanged(fence, stamps)):
            glance.ended(((self.versions[row], version) for row, version in told.items()), "kept")
            self._check()

    @rule(worker=workers, what=st.integers(0, ROWS))
    def use_shared(self, worker: int, what: int) -> None:
        """A whole answer that any worker put into Redis, if nothing that it rests on has changed."""
        glance = self.registers.glance(f"shared answer on worker {worker}", list(self.versions.values()))
        told = self._do(model_answers.taken(self.ground.workers[worker].cache, what))
        glance.ended(((self.versions[row], version) for row, version in told.items()), "shared")
        self._check()

    @rule(first=workers, listed_first=st.booleans())
    def everybody_asks(self, first: int, listed_first: bool) -> None:
        """Every row and the list, of every worker, also as answers of others, once psql has shown what is committed."""
        for row, version in self._do(self.ground.psql("SELECT id, version FROM employee WHERE id <= :most", most=ROWS)):
            self.versions[row].told(version, "psql")
        for number in range(WORKERS):
            worker = (first + number) % WORKERS
            for row in [0, *self.versions] if listed_first else [*self.versions, 0]:
                self.use_shared(worker, row)
                self._finish(self._read(worker, row, None, whole=not row))

    @rule(worker=workers)
    def refresh(self, worker: int) -> None:
        """The drain has come and everything is in the cache."""
        self.drain(worker, None)
        self.everybody_asks(worker, listed_first=True)

    @rule(worker=workers, fault=st.sampled_from(FAULTS))
    def fault(self, worker: int, fault: tuple[str, Any]) -> None:
        """Something happens to a worker, to Redis, or to time."""
        name, how = fault
        getattr(self, f"_{name}")(worker, how)

    def _partition(self, worker: int, off: bool) -> None:
        """A worker alone loses Redis, or finds it again."""
        proxy = self.ground.workers[worker].redis
        self._do(proxy.refuse() if off else proxy.heal())

    def _evict(self, _: int, what: str) -> None:
        model_faults.evict(self.ground.valkeys, self.prefix, what)

    def _replicate(self, *_: Any) -> None:
        model_faults.replicate(*self.ground.valkeys)

    def _save(self, *_: Any) -> None:
        self.saved = model_faults.saved(self.ground.valkeys[0], self.prefix)

    def _go_back(self, *_: Any) -> None:
        model_faults.go_back(self.ground.valkeys[0], self.saved)

    def _switch(self, worker: int, server: int) -> None:
        """A worker is sent to the other Valkey."""
        self.ground.workers[worker].redis.point_to(self.ground.valkeys[server].path)

    def _time(self, _: int, seconds: float) -> None:
        """Every deadline comes nearer; sessions that idle for too long are ended."""
        self._do(self._move(seconds))

    # --------------------------------------------------------------------------------------------------- what is done

    async def _read(self, worker: int, row: int, stop: Stop | None, *, whole: bool) -> None:
        on = self.ground.workers[worker]
        reading = Loaders(on.database, on.cache)
        watched = list(self.versions.values()) if whole else [self.versions[row]]
        glance = self.registers.glance(f"worker {worker}", watched)
        told: dict[int, int] = {}
        with suppress(RollcallError):
            if whole:
                found = await reading.load(list_stopping_at(stop), 1)
                told = {id_: version for id_, version in found or () if id_ in self.versions}
            else:
                employee = await reading.must(row_stopping_at(stop), EmployeeId(row))
                told = {row: employee.version}
        glance.ended(((self.versions[id_], version) for id_, version in told.items()), "list" if whole else "row")
        if told and reading.dependencies.storable and reading.dependencies.fence:
            rests_on = reading.dependencies.fence, dict(reading.dependencies.stamps)
            self.kept.append((worker, *rests_on, told))
            model_answers.put(on.cache, 0 if whole else row, *rests_on, told)
        await on.cache.settle()

    async def _write(self, worker: int, row: int, stop: Stop | None) -> None:
        on, register, run_id = self.ground.workers[worker], self.versions[row], f"write {next(self._run_ids)}"
        STOP.set(stop)
        register.begin(run_id)
        with suppress(RollcallError):
            async with unit_of_work(on.database, on.cache) as unit:
                [(version,)] = await unit.connection.records(WRITE, id=row)
                await gate(stop, b"written")
            register.acknowledge(run_id, version)

    async def _psql(self, row: int, register: Register) -> None:
        async with self.ground.outside.transaction() as connection:
            [(version,)] = await connection.records(WRITE, id=row)
            register.outside(version)
        register.outside_ended(version, committed=True)

    async def _drain(self, worker: int) -> None:
        with suppress(Exception):
            await self.ground.workers[worker].drain()

    async def waiting(self, seconds: float) -> None:
        """A writer waits until the last fence has lapsed: it may be stopped there; then the time is over."""
        await gate(STOP.get(), b"waiting")
        await self._move(seconds + 0.01)

    async def _move(self, seconds: float) -> None:
        for paused in list(self.paused):
            paused.idle_s += seconds
            if paused not in self.paused:
                continue  # who was dropped before it let time pass too
            if paused.kind == "drain" or (paused.kind == "write" and paused.idle_s >= HOLD_IDLE_S / 2):
                self.paused.remove(paused)
                self.ground.workers[paused.worker].postgres.cut()
                paused.stop.drop()
                await self._settled(paused.task)
        self.ground.clock_s += seconds
        moving: asyncio.Task[Any] = asyncio.create_task(self.ground.psql(MOVE, s=seconds))
        await self._settled(moving)
        for valkey in self.ground.valkeys:
            await asyncio.to_thread(move_deadlines, valkey, self.prefix, round(seconds * 1000))

    # ------------------------------------------------------------------------------------------------------ sequencing

    def _start(self, paused: Paused, work: Coroutine[Any, Any, None]) -> None:
        self._do(self._begin(paused, work))

    async def _begin(self, paused: Paused, work: Coroutine[Any, Any, None]) -> None:
        paused.task = asyncio.create_task(work)
        await self._until_stopped(paused)

    async def _until_stopped(self, paused: Paused) -> None:
        reached = asyncio.create_task(paused.stop.reached.wait())
        done: set[asyncio.Task[Any]] = set()
        while not done:
            done, _ = await asyncio.wait({paused.task, reached}, timeout=1, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await self._let_go()
        reached.cancel()
        if paused.task.done():
            for proxy in (self.ground.workers[paused.worker].redis, self.ground.workers[paused.worker].postgres):
                proxy.forget(paused.stop)
            paused.task.result()
        else:
            self.paused.append(paused)

    async def _go_on(self, paused: Paused, sent: bool) -> None:
        """To its end, or to the step at which it is to stand next."""
        was, then = paused.stop, paused.then
        if then and sent:
            paused.stop, paused.then = stop_at(self.ground.workers[paused.worker], then) or was, None
        if sent:
            was.go_on()
        else:
            was.drop()
        await (self._until_stopped(paused) if then and sent else self._settled(paused.task))

    async def _settled(self, task: asyncio.Task[Any]) -> None:
        while not (await asyncio.wait({task}, timeout=1))[0]:
            await self._let_go()
        task.result()

    async def _let_go(self) -> None:
        """A writer that cannot hold waits for the lock of the leader, a reader of the list for who makes it already.

        And everybody for a writer that stands before the COMMIT of its suspension.
        """
        for paused in [each for each in self.paused if each.kind in ("drain", "read") or each.stop.marker == COMMIT]:
            if paused not in self.paused:
                continue  # who was let go before it waited too
            self.paused.remove(paused)
            paused.stop.go_on()
            await asyncio.wait({paused.task})

    def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Work that does not stop at a step, and may wait for somebody who did."""

        async def finished() -> T:
            task = asyncio.create_task(work)
            await self._settled(task)
            return task.result()

        return self._do(finished())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        found = self.loop.run_until_complete(work)
        self._check()
        return found

    def _check(self) -> None:
        assert not self.registers.violations, self.registers.violations[0]

    def teardown(self) -> None:
        """Everybody comes to an end; then everything is asked of everybody."""
        self.loop.run_until_complete(self._end())
        self._check()
        for row, register in self.versions.items():
            [(version,)] = self._do(self.ground.psql("SELECT version FROM employee WHERE id = :id", id=row))
            assert version >= register.floor, f"an acknowledged write of row {row} is lost: {list(register.news)}"

    async def _end(self) -> None:
        while self.paused:
            paused = self.paused.pop()
            paused.stop.go_on()
            await self._settled(paused.task)
        for number, worker in enumerate(self.ground.workers):
            await worker.redis.heal()
            await self._read(number, 1, None, whole=True)
        await self._move(5)
        await self.ground.workers[0].drain()
        for number in range(WORKERS):
            for row in self.versions:
                await self._read(number, row, None, whole=False)


def run(examples: int) -> None:
    """Let hypothesis play; the same examples every time, so that a failure is one for everybody."""
    run_state_machine_as_test(
        Model,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate,) if WEAKENED else (Phase.generate, Phase.shrink),  # to shrink takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_order_of_steps_tells_anything_old(databases: Databases) -> None:
    with opened(databases) as Model.ground:
        run(EXAMPLES)
