"""Shadow verification: what is stale sets the alarm off and is gone; what is being written does not."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from cache.policy import encode
from cache.reading import decode_entry
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.catalogue import batch_of, batches, key_of
from loaders.drain import drain_for_ever
from loaders.employees import employee_by_id
from loaders.verification import Shadow, served, verified
from telemetry.counters import counters
from telemetry.recording import recording
from tests.coherence.conftest import NewWorker
from tests.coherence.valkey import Valkey
from tests.coherence.worker import RENAME, Worker
from tests.kit.rig import Rig
from tests.kit.small_company import ADMIN, ANALYST, EMPLOYEE, HR, MANAGER
from tests.responses.questions import QUESTIONS

FIRST = EmployeeId(1)
FORGET = statement("forget", "DELETE FROM cache_outbox WHERE xid = pg_current_xact_id()")


async def write_unnoticed(worker: Worker, name: str) -> None:
    """A write whose outbox is lost: the promise does not hold for it, which is why it can plant something stale."""
    async with worker.database.transaction() as connection:
        await connection.execute(RENAME, name=name, id=FIRST)
        assert await connection.execute(FORGET) > 0


def verdicts() -> dict[str, int]:
    """What was found so far in this process."""
    return {label: number for (name, label), number in counters.items() if name == "cache_verified"}


async def read(worker: Worker, shadow: Shadow) -> str:
    """What a request of a process that verifies is told."""
    row = await Loaders(worker.database, worker.cache, shadow.consider).must(employee_by_id, FIRST)
    await worker.cache.settle()
    return row.full_name


@asynccontextmanager
async def drained(worker: Worker) -> AsyncIterator[None]:
    """The drain goes on, so that the fence lives for longer than a comparison."""
    task = asyncio.create_task(drain_for_ever(worker.database, worker.cache))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_planted_stale_entry_sets_off_the_alarm_and_is_gone(worker: Worker, valkey: Valkey) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    assert await read(worker, shadow) == "name 1"
    assert (await read(worker, shadow), await shadow.settle()) == ("name 1", None)
    assert verdicts() == {"same": 1}
    await write_unnoticed(worker, "planted")
    with structlog.testing.capture_logs() as logs:
        async with drained(worker):
            assert (await read(worker, shadow), await shadow.settle()) == ("name 1", None)  # the answer does not wait
    assert verdicts() == {"same": 1, "different": 1}
    assert counters["cache_stale", "employee"] == 1
    [entry] = logs
    assert (entry["event"], entry["kind"]) == ("the cache served something stale", "employee")
    assert entry["entry"] == employee_by_id.policy.entry_name(FIRST)
    assert entry["tags"] == ["employee", "employee.id=1", "location", "location.any"]
    assert valkey.client.keys("test:e:employee@*") == []
    assert await read(worker, shadow) == "planted"


async def test_what_rests_on_a_stale_entry_is_not_used_either(worker: Worker) -> None:
    """An answer was made of it elsewhere: its stamps are no longer those of now."""
    loaders = Loaders(worker.database, worker.cache)
    await loaders.load(employee_by_id, FIRST)
    await worker.cache.settle()
    fence, stamps = loaders.dependencies.fence, dict(loaders.dependencies.stamps)
    assert fence is not None and await worker.cache.unchanged(fence, stamps)
    await write_unnoticed(worker, "planted")
    reading = await worker.cache.read(employee_by_id.policy, [FIRST])
    assert reading.ticket is not None
    sample = served(employee_by_id, FIRST, reading.hits[FIRST], reading.ticket)
    async with drained(worker):
        assert await verified(worker.database, worker.cache, "employee", sample) == "different"
    assert not await worker.cache.unchanged(fence, stamps)


async def test_where_nobody_drains_any_more_a_difference_is_no_alarm(worker: Worker) -> None:
    """As after a failover: what psql wrote was drained through another Redis, this one's fence is about to lapse."""
    await Loaders(worker.database, worker.cache).load(employee_by_id, FIRST)
    await worker.cache.settle()
    await write_unnoticed(worker, "drained elsewhere")
    reading = await worker.cache.read(employee_by_id.policy, [FIRST])
    assert reading.ticket is not None
    sample = served(employee_by_id, FIRST, reading.hits[FIRST], reading.ticket)
    assert await verified(worker.database, worker.cache, "employee", sample) == "overtaken"


async def test_a_write_from_outside_that_is_not_drained_yet_is_no_alarm(worker: Worker) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    await read(worker, shadow)
    await worker.psql("UPDATE employee SET full_name = 'outside' WHERE id = 1 RETURNING id")
    assert (await read(worker, shadow), await shadow.settle()) == ("name 1", None)
    assert verdicts() == {"overtaken": 1}
    assert await worker.drain()
    assert await read(worker, shadow) == "outside"


async def test_a_write_between_the_hit_and_the_comparison_is_no_alarm(worker: Worker) -> None:
    await worker.name(1)
    reading = await worker.cache.read(employee_by_id.policy, [FIRST])
    assert reading.ticket is not None
    sample = served(employee_by_id, FIRST, reading.hits[FIRST], reading.ticket)
    await worker.rename("after")
    await worker.drain()
    assert await verified(worker.database, worker.cache, "employee", sample) == "overtaken"


async def test_a_torrent_of_writes_sets_off_nothing(worker: Worker, new_worker: NewWorker) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    other = await new_worker()
    done = False

    async def write() -> None:
        nonlocal done
        for number in itertools.count():
            if number >= 60 and compared() > 5:
                break
            if number % 3:
                await other.rename(f"ours {number}")
            else:
                await other.psql("UPDATE employee SET full_name = 'theirs' WHERE id = 1 RETURNING id")
        done = True

    async def drain() -> None:
        while not done:
            await other.drain()
            await asyncio.sleep(0)

    async def ask() -> None:
        while not done:
            await read(worker, shadow)
            await shadow.settle()

    def compared() -> int:
        return verdicts().get("same", 0) + verdicts().get("overtaken", 0)

    async with asyncio.timeout(60):
        await asyncio.gather(write(), drain(), ask())
    found = verdicts()
    assert "different" not in found and "failed" not in found, found


async def test_it_is_on_no_request_s_account(worker: Worker) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    await read(worker, shadow)
    with recording() as made:
        await read(worker, shadow)
        await shadow.settle()
    assert (made.sql, len(made.redis), verdicts()) == ([], 1, {"same": 1})


async def test_it_asks_nothing_of_a_busy_database_and_one_thing_at_a_time(worker: Worker) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    await read(worker, shadow)
    async with worker.database.read(), worker.database.read(), worker.database.read():  # of four
        await read(worker, shadow)
    assert verdicts() == {"skipped": 1}
    await asyncio.gather(read(worker, shadow), read(worker, shadow))
    await shadow.settle()
    assert verdicts() == {"skipped": 2, "same": 1}
    await read(worker, Shadow(worker.database, worker.cache, 0.0))
    assert verdicts() == {"skipped": 2, "same": 1}


async def test_without_redis_nothing_is_said(worker: Worker) -> None:
    counters.clear()
    shadow = Shadow(worker.database, worker.cache, 1.0)
    await read(worker, shadow)
    await write_unnoticed(worker, "planted")
    await read(worker, shadow)
    await worker.redis.refuse()
    await shadow.settle()
    assert verdicts() == {"overtaken": 1}


async def test_everything_that_the_questions_leave_in_redis_is_verified_and_right(rig: Rig) -> None:
    """Also that an entry can be traced back to its lookup and its key, whatever its kind."""
    for email in (ADMIN, HR, MANAGER, EMPLOYEE, ANALYST):
        viewer = await rig.viewer(email)
        for question in QUESTIONS.values():
            await rig.execute(question, viewer=viewer, repeats=Anything())
    assert rig.cache.server is not None
    seen: dict[str, int] = {}
    names = await names_in(rig)
    for name in names:
        batch = batch_of(name)
        assert batch is not None, name
        entry = (await rig.cache.server.mget([rig.cache.entry_prefix + name])).value[0]
        key = key_of(batch, decode_entry(entry)[3])
        assert batch.policy.entry_name(key) == name and encode(key) == bytes(decode_entry(entry)[3])
        reading = await rig.cache.read(batch.policy, [key])
        if reading.ticket is not None and key in reading.hits:
            sample = served(batch, key, reading.hits[key], reading.ticket)
            assert await verified(rig.database, rig.cache, batch.policy.namespace, sample) == "same", name
            seen[batch.policy.namespace] = seen.get(batch.policy.namespace, 0) + 1
    assert len(seen) > 25 and sum(seen.values()) == len(names)
    assert set(seen) <= set(batches())


async def names_in(rig: Rig) -> list[str]:
    """The entries of a rig, without the begin of their names."""
    import redis.asyncio

    prefix = rig.cache.entry_prefix
    async with redis.asyncio.Redis.from_url(rig._redis_url) as client:
        return [name.decode().removeprefix(prefix) async for name in client.scan_iter(f"{prefix}*", count=1000)]


class Anything(dict[str, int]):
    """A statement may run as often as it likes here."""

    def get(self, key: str, default: Any = None) -> Any:
        return 1_000
