"""Lookups that find what they need in an earlier look of their request: no round trip, and nothing wrong is stored."""

from typing import Any

from cache.reading import Asked, Seen
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
