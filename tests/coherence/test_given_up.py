"""Lookups that nobody waits for any more: they are stopped, and whatever becomes of them is nobody's traceback."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from cache.policy import Policy
from db import tags
from db.connection import ReadConnection
from db.where import statement
from domain.errors import Unavailable
from domain.ids import DepartmentId, EmployeeId
from loaders.batch import Batch, Loaders
from loaders.departments import department_by_id
from loaders.employees import employee_by_id
from tests.coherence.worker import Worker
from tests.kit.sequencer import Sequencer, within

BY_ID = b"FROM employee e"
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(60) /*%'"


@pytest.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """What the event loop would print."""
    found: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: found.append(context))
    yield found
    loop.set_exception_handler(None)


async def test_a_session_that_ends_prints_nothing(worker: Worker, complaints: list[dict[str, Any]]) -> None:
    """One lookup fails, its siblings are given up, and then fail as well."""
    loaders = Loaders(worker.database, worker.cache)
    stops = [worker.postgres.stop_before(marker) for marker in (BY_ID, b"FROM department")]
    waiting = [
        asyncio.create_task(loaders.must(employee_by_id, EmployeeId(1))),
        asyncio.create_task(loaders.must(department_by_id, DepartmentId(1))),
    ]
    for stop in stops:
        await within(stop.reached.wait())
    batches = dispatched()
    assert len(batches) == 2
    waiting[1].cancel()
    worker.postgres.cut()
    with pytest.raises(Unavailable):
        await waiting[0]
    await within(asyncio.wait([*waiting, *batches]))
    waiting.clear(), batches.clear()
    del loaders
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


def dispatched() -> list[asyncio.Task[Any]]:
    """The batches under way."""
    return [task for task in asyncio.all_tasks() if "dispatch_queue_batch" in repr(task.get_coro())]


async def test_the_last_who_waits_stops_the_statement(worker: Worker, complaints: list[dict[str, Any]]) -> None:
    """As at the deadline of a request: PostgreSQL stops working for nobody, and the connection can be used again."""
    order, loaders = Sequencer(), Loaders(worker.database, worker.cache)

    async def slow(connection: ReadConnection, keys: Sequence[int]) -> dict[int, int]:
        order.go("begun")
        await connection.records(statement("asleep", "SELECT pg_sleep(60)"))
        return dict.fromkeys(keys, 1)

    batch: Batch[int, int] = Batch(slow, Policy("slow", int, "employee", lambda key: (tags.EMPLOYEE(key),)))
    one, two = (asyncio.create_task(loaders.load(batch, 7)) for _ in range(2))
    await order.stop("begun")
    while await worker.psql(ASLEEP) != [(1,)]:
        pass
    [dispatch] = dispatched()
    one.cancel()
    await asyncio.wait([one])
    assert not dispatch.cancelling()
    two.cancel()
    await within(asyncio.wait([two, dispatch]))
    while await worker.psql(ASLEEP) != [(0,)]:
        pass
    assert [await worker.name(number) for number in range(1, 9)] == [f"name {number}" for number in range(1, 9)]
    assert worker.database.in_use == 0 and complaints == []
