"""A reader and a writer, stopped at every step of the protocol in which the other can do harm."""

import asyncio
from collections.abc import Sequence

import pytest

from cache.policy import Policy
from cache.server import SHA
from db import tags
from db.connection import ReadConnection
from db.employees import employees_by_id
from db.rows import EmployeeRow
from domain.ids import EmployeeId
from loaders.batch import Batch
from loaders.unit_of_work import unit_of_work
from tests.coherence.worker import RENAME, Worker
from tests.kit.sequencer import Sequencer, within

HOLD, RELEASE, FILL = SHA["hold"].encode(), SHA["release"].encode(), SHA["fill"].encode()


async def test_a_value_is_read_from_the_cache_until_it_is_written(worker: Worker, other: Worker) -> None:
    assert await worker.name() == "name 1"
    assert await worker.from_cache() and await other.from_cache()
    await other.rename("new")
    assert not await worker.from_cache()
    assert await worker.name() == "new" and await worker.from_cache() and await other.from_cache()


async def test_other_rows_stay_in_the_cache(worker: Worker) -> None:
    await worker.name(1), await worker.name(2)
    await worker.rename("new", 1)
    assert await worker.from_cache(2)


@pytest.mark.parametrize("write_until", [b"COMMIT", RELEASE, None])
async def test_what_was_read_before_a_write_is_never_served_after_it(
    worker: Worker, other: Worker, write_until: bytes | None
) -> None:
    """The reader has its stamps and its row, and stores them at the worst moment of the writer."""
    order = Sequencer()

    async def slow(connection: ReadConnection, ids: Sequence[EmployeeId]) -> dict[EmployeeId, EmployeeRow]:
        found = await employees_by_id(connection, ids)
        await order.stop("row read")
        return found

    batch = Batch(slow, Policy("slow", EmployeeRow, "employee", lambda key: (tags.EMPLOYEE(key),)))
    reading = asyncio.create_task(worker.get(batch, 1))
    await order.until("row read")
    proxy = other.redis if write_until == RELEASE else other.postgres
    stop = proxy.stop_before(write_until) if write_until else None
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait() if stop else asyncio.shield(writing))
    order.go("row read")
    assert (await reading).full_name == "name 1"
    if stop:
        stop.go_on()
    await writing
    assert (await worker.get(batch, 1)).full_name == "new"
    assert (await other.get(batch, 1)).full_name == "new"


async def test_stamps_are_claimed_before_the_row_is_read(worker: Worker, other: Worker) -> None:
    """A key whose tag has no stamp yet: the write falls between the claim and the row, or between row and fill."""
    stop = worker.redis.stop_before(FILL)
    reading = asyncio.create_task(worker.name())
    await within(stop.reached.wait())
    await other.rename("new")
    stop.go_on()
    assert await reading == "name 1"
    assert await worker.name() == "new"


async def test_between_hold_and_commit_readers_ask_the_database_and_store_nothing(
    worker: Worker, other: Worker
) -> None:
    await worker.name()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    assert not await worker.from_cache() and not await worker.from_cache()
    assert await worker.name() == "name 1"
    stop.go_on()
    await writing
    assert await worker.name() == "new"


async def test_between_commit_and_release_nobody_is_told_the_old_value(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.redis.stop_before(RELEASE)
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    assert [await worker.name(), await other.name(), await worker.name()] == ["new", "new", "new"]
    assert not await worker.from_cache()
    stop.go_on()
    await writing
    assert await worker.name() == "new" and await worker.from_cache()


async def test_before_the_hold_the_old_value_is_the_true_one(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.redis.stop_before(HOLD)
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    assert await worker.name() == "name 1" and await worker.from_cache()
    stop.go_on()
    await writing
    assert await worker.name() == "new"


async def test_two_writers_of_one_tag_release_each_only_its_own_hold(worker: Worker, other: Worker) -> None:
    """What both touch (any employee) is held twice, what one touches once."""
    await worker.name(1), await worker.name(2)
    first, second = worker.redis.stop_before(RELEASE), other.postgres.stop_before(b"COMMIT")
    writing_first = asyncio.create_task(worker.rename("new 1", 1))
    writing_second = asyncio.create_task(other.rename("new 2", 2))
    await within(first.reached.wait())
    await within(second.reached.wait())
    first.go_on()
    await writing_first
    assert await worker.name(1) == "new 1" and await worker.from_cache(1)
    assert await worker.name(2) == "name 2" and not await worker.from_cache(2)
    second.go_on()
    await writing_second
    assert await worker.name(2) == "new 2"


async def test_a_rolled_back_write_leaves_the_entries_usable(worker: Worker, other: Worker) -> None:
    await worker.name()
    with pytest.raises(ZeroDivisionError):
        await _rename_and_fail(other)
    assert await worker.from_cache() and await worker.name() == "name 1"


async def _rename_and_fail(worker: Worker) -> None:
    async with unit_of_work(worker.database, worker.cache) as unit:
        await unit.connection.execute(RENAME, name="never", id=1)
        raise ZeroDivisionError


async def test_absence_is_cached_and_ends_when_the_row_appears(worker: Worker, other: Worker) -> None:
    assert await worker.name(21) is None
    assert await worker.from_cache(21)
    columns = "employee_no, full_name, department_id, location_id, hired_on"
    await other.write(f"INSERT INTO employee ({columns}) SELECT 'N', 'born', 1, 1, DATE '2026-01-01'")
    assert await worker.name(21) == "born"
