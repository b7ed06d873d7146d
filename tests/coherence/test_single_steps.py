"""Single steps of the protocol, each in the one case in which it matters."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from cache.policy import Policy
from cache.second_level import Fence
from cache.server import Answer
from db import tags
from db.connection import ReadConnection
from db.employees import employees_by_id
from db.rows import EmployeeRow
from domain.errors import Unavailable
from domain.ids import EmployeeId
from loaders.batch import Batch
from telemetry.recording import recording
from tests.coherence.torture_worker import list_of_department
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import Worker
from tests.kit.sequencer import Sequencer, within


async def listed_from_cache(worker: Worker) -> bool:
    with recording() as made:
        await worker.get(list_of_department, 1)
    return not made.sql


async def test_an_evicted_stamp_comes_back_as_another_one(worker: Worker, valkey: Valkey) -> None:
    """Or what was stored before it was evicted would be served again."""
    stamps = []
    with valkey.client as client:
        for _ in range(3):  # the first one is made together with others
            await worker.name()
            stamps.append(client.get("test:s:employee.id=1"))
            client.delete("test:s:employee.id=1")
    assert None not in stamps and len(set(stamps)) == 3


async def test_a_stamp_that_is_missing_is_made_before_the_row_is_read(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    """Made after it, it would vouch for a row from before the write."""
    order = Sequencer()

    async def slow(connection: ReadConnection, ids: Sequence[EmployeeId]) -> dict[EmployeeId, EmployeeRow]:
        found = await employees_by_id(connection, ids)
        await order.stop("row read")
        return found

    batch = Batch(slow, Policy("slow", EmployeeRow, "employee", lambda key: (tags.EMPLOYEE(key),)))
    with valkey.client as client:
        client.delete("test:s:employee.id=1")
    reading = asyncio.create_task(worker.get(batch, 1))
    await order.until("row read")
    await other.rename("new")
    order.go("row read")
    assert (await reading).full_name == "name 1"
    assert (await worker.get(batch, 1)).full_name == "new"


async def test_a_read_never_takes_the_answer_to_an_earlier_question(
    worker: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis has answered one read, but the answer is still on its way when a write is acknowledged and another asks."""
    await worker.name()
    order, server = Sequencer(), worker.cache.server
    assert server is not None
    asked = server.script

    async def slow(name: str, keys: Sequence[str], arguments: Sequence[Any]) -> Answer:
        answer = await asked(name, keys, arguments)
        await order.stop("answered")
        return answer

    monkeypatch.setattr(server, "script", slow)
    first = asyncio.create_task(worker.name())
    await order.until("answered")
    monkeypatch.undo()
    await other.rename("new")
    second = asyncio.create_task(worker.name())
    await asyncio.wait({second}, timeout=0.5)
    order.go("answered")
    assert (await first, await second) == ("name 1", "new")


async def test_a_hold_leaves_those_of_others(worker: Worker, other: Worker) -> None:
    """Two writers of one list: the end of one must not let the new row of the other be told beside the old list."""
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new", 1))
    await within(stop.reached.wait())
    await worker.rename("new", 3)
    assert not await listed_from_cache(worker) and not await listed_from_cache(worker)
    stop.go_on()
    await writing
    assert not await listed_from_cache(worker) and await listed_from_cache(worker)


async def test_a_hold_on_another_redis_than_was_asked_about_does_not_count(worker: Worker, other: Worker) -> None:
    """The connection is replaced between the question for the tags and the hold."""
    with private_valkey() as replica:
        await other.cache.home()
        await worker.drain()
        await worker.name()
        stop = other.postgres.stop_before(b"cache_pending")
        writing = asyncio.create_task(other.rename("new"))
        await within(stop.reached.wait())
        other.redis.point_to(replica.path)
        await other.reconnect()
        stop.go_on()
        await writing
        assert await worker.name() == "new"


async def test_the_fence_moves_only_once_no_writer_counts_on_the_old_one(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    with private_valkey() as replica:
        worker.redis.point_to(replica.path)
        await worker.reconnect()
        with pytest.raises(Unavailable):
            await worker.drain()
        stop.go_on()
        await writing
        assert await worker.drain()


async def fence_from(worker: Worker, ago_ms: int, epoch: int) -> Fence:
    assert worker.cache.server is not None
    run_id, now_ms = await worker.cache.server.clock_ms()
    return Fence(run_id, epoch, "declaration", now_ms - ago_ms)


async def test_a_late_renewal_does_not_bring_an_older_fence_back(worker: Worker, valkey: Valkey) -> None:
    await worker.cache.renew(await fence_from(worker, 1_900, 1), "late", [])
    assert await _fence(valkey) != b"1"
    await worker.cache.renew(await fence_from(worker, -1_000, 2), "next", [])
    assert await _fence(valkey) == b"2"


async def test_a_renewal_on_its_way_for_long_makes_a_short_fence(worker: Worker, valkey: Valkey) -> None:
    """It promises nothing of what was committed since the outbox was read."""
    valkey.ask("FLUSHALL")
    await worker.cache.renew(await fence_from(worker, 1_500, 1), "slow", [])
    with valkey.client as client:
        assert client.pttl("test:f") <= 500


async def _fence(valkey: Valkey) -> Any:
    with valkey.client as client:
        return client.get("test:f").split(b".")[1]
