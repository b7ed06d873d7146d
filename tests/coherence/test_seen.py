"""Lookups that find what they need in an earlier look of their request: no round trip, and nothing wrong is stored."""

from typing import Any

from cache.reading import Asked, Seen
from domain.consistency import Position
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.employees import employee_by_id
from loaders.unit_of_work import unit_of_work
from telemetry.recording import Recording, recording
from tests.coherence.worker import RENAME, Worker

FIRST, SECOND = EmployeeId(1), EmployeeId(2)


async def asked_for(worker: Worker, *employees: EmployeeId) -> Asked:
    """What looking these up asks Redis for; they are in the cache afterwards."""
    loaders = Loaders(worker.database, worker.cache)
    await loaders.load_many(employee_by_id, employees)
    await worker.cache.settle()
    [asked] = loaders.asked
    return asked


async def looking(worker: Worker, asked: Asked) -> Loaders:
    """The loaders of a request that has looked."""
    loaders = Loaders(worker.database, worker.cache)
    loaders.seen = await worker.cache.look(asked)
    assert isinstance(loaders.seen, Seen)
    return loaders


async def name(loaders: Loaders, employee: EmployeeId = FIRST) -> tuple[Any, Recording]:
    """The name of an employee, and what finding it took."""
    with recording() as made:
        row = await loaders.must(employee_by_id, employee)
    return row.full_name, made


async def test_what_was_seen_costs_no_round_trip(worker: Worker) -> None:
    loaders = await looking(worker, await asked_for(worker, FIRST))
    found, made = await name(loaders)
    assert (found, made.sql, made.redis) == ("name 1", [], [])
    assert made.batches == [("employee", 1, 1)]
    assert loaders.dependencies.storable


async def test_what_was_not_seen_is_looked_up(worker: Worker) -> None:
    await asked_for(worker, SECOND)
    loaders = await looking(worker, await asked_for(worker, FIRST))
    found, made = await name(loaders, SECOND)
    assert (found, made.sql, len(made.redis)) == ("name 2", [], 1)


async def test_a_request_may_be_told_what_was_so_when_it_looked(worker: Worker, other: Worker) -> None:
    asked = await asked_for(worker, FIRST)
    loaders = await looking(worker, asked)
    await other.rename("new")
    assert (await name(loaders))[0] == "name 1"  # it began before the write
    assert not await worker.cache.unchanged(loaders.dependencies.fence or b"", loaders.dependencies.stamps)
    assert await worker.name() == "new"
    assert (await name(await looking(worker, asked)))[0] == "new"


async def test_what_is_read_after_a_write_is_not_stored_under_stamps_from_before_it(
    worker: Worker, other: Worker
) -> None:
    asked = await asked_for(worker, FIRST)
    await worker.cache.restamp(["employee.id=1"])
    loaders = await looking(worker, asked)
    await other.rename("new")
    found, made = await name(loaders)
    assert (found, made.sql) == ("new", ["employee_by_id"])
    await worker.cache.settle()
    assert not await worker.from_cache()
    assert await worker.from_cache()


async def test_a_change_of_the_request_itself_makes_it_look_again(worker: Worker) -> None:
    loaders = await looking(worker, await asked_for(worker, FIRST))
    async with unit_of_work(worker.database, worker.cache, loaders) as unit:
        await unit.connection.execute(RENAME, name="own", id=FIRST)
    found, made = await name(loaders)
    assert (found, made.sql, len(made.redis)) == ("own", ["employee_by_id"], 1)


async def test_a_look_that_fails_is_no_error(worker: Worker) -> None:
    asked = await asked_for(worker, FIRST)
    await worker.redis.refuse()
    assert await worker.cache.look(asked) is None


async def certain(worker: Worker) -> Position:
    """The newest position, once a drain that began after it was made has gone by."""
    while True:
        assert await worker.drain()
        if found := await worker.cache.newest():
            return found


async def lapse(worker: Worker) -> None:
    """Let the fence lapse now."""
    assert worker.cache.server is not None
    await worker.cache.server.delete([worker.cache.fence_name])


async def test_a_position_that_was_seen_without_a_fence_is_not_believed_by_one_of_later(worker: Worker) -> None:
    """Who could not hold committed before the look, which saw a position from before that."""
    asked = await asked_for(worker, FIRST)
    await certain(worker)
    await lapse(worker)
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    seen = await worker.cache.look(asked)
    newest = await certain(worker)
    [reading] = await worker.cache.read_together([(employee_by_id.policy, [FIRST])], seen)
    assert reading.bypass == "fenced"
    assert reading.needed is None or reading.needed.position.lsn >= newest.lsn


async def test_a_fence_that_was_seen_does_not_hide_the_suspension_after_it(worker: Worker) -> None:
    await certain(worker)
    loaders = await looking(worker, await asked_for(worker, FIRST))
    await worker.psql(
        "UPDATE cache_state SET (suspended_until, ends_from, suspended_from) = ('infinity', 'infinity', '-infinity')"
    )
    assert not await worker.drain()
    await lapse(worker)
    assert (await name(loaders))[0] == "name 1"
    needed = (await worker.cache.read(employee_by_id.policy, [FIRST])).needed
    assert needed is not None and needed.held


async def test_a_fence_that_still_stands_does_not_hide_the_suspension_that_a_drain_has_met(worker: Worker) -> None:
    """Who suspended it commits once it has lapsed, and a primary that dies then is asked no more."""
    await certain(worker)
    await worker.psql(
        "UPDATE cache_state SET (suspended_until, ends_from, suspended_from) = ('infinity', 'infinity', '-infinity')"
    )
    assert not await worker.drain()
    reading = await worker.cache.read(employee_by_id.policy, [FIRST])
    assert reading.ticket is not None and reading.needed is not None and not reading.needed.held
    await lapse(worker)
    needed = (await worker.cache.read(employee_by_id.policy, [FIRST])).needed
    assert needed is not None and needed.held


async def test_a_look_alone_teaches_which_fence_there_was(worker: Worker, other: Worker) -> None:
    """What a worker only foresees must do for its reads without a primary."""
    asked = await asked_for(worker, FIRST)
    await certain(worker)
    seen = await other.cache.look(asked)
    await other.cache.read_together([(employee_by_id.policy, [FIRST])], seen)
    await lapse(worker)
    needed = (await other.cache.read(employee_by_id.policy, [FIRST])).needed
    assert needed is not None and not needed.held
