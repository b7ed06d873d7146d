"""Batches over the cache: partial hits, one MGET a tick, cancelled callers, exceptions, entries that do not decode."""

import ast
import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest

from cache.policy import Policy, encode
from cache.reading import decode_entry
from db import tags
from db.connection import ReadConnection
from db.embedded.lease import CHECKOUT
from domain.ids import DepartmentId, EmployeeId
from loaders.batch import Batch, Loaders
from loaders.departments import department_by_id
from loaders.employees import employee_by_id
from loaders.unit_of_work import unit_of_work
from telemetry.counters import counters
from telemetry.recording import recording
from tests.coherence.valkey import Valkey
from tests.coherence.worker import RENAME, Worker
from tests.kit.sequencer import Sequencer

IDS = [EmployeeId(number) for number in (1, 2, 3)]


def batch_of(name: str, fetch: object, most_keys: int = 1_000) -> Batch[int, int]:
    policy: Policy[int, int] = Policy(name, int, "employee", lambda key: (tags.EMPLOYEE(key),))
    return Batch(fetch, policy, most_keys=most_keys)  # type: ignore[arg-type]


async def test_a_partial_hit_loads_only_the_misses(worker: Worker) -> None:
    await worker.name(1), await worker.name(2)
    asked: list[Sequence[EmployeeId]] = []
    fetch = employee_by_id.fetch

    async def noted(connection: ReadConnection, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, object]:
        asked.append(list(ids))
        return await fetch(connection, ids)

    employee_by_id.fetch = noted  # type: ignore[assignment]
    try:
        with recording() as made:
            rows = await Loaders(worker.database, worker.cache).load_many(employee_by_id, IDS)
    finally:
        employee_by_id.fetch = fetch
    assert [row.full_name for row in rows if row] == ["name 1", "name 2", "name 3"]
    assert asked == [[3]]
    assert made.batches == [("employee", 3, 2)]
    await worker.cache.settle()


async def test_all_lookups_of_a_tick_share_one_mget(worker: Worker, valkey: Valkey) -> None:
    """Two requests, two lookups each."""

    async def request() -> list[int]:
        with recording() as made:
            loaders = Loaders(worker.database, worker.cache)
            await asyncio.gather(loaders.load(employee_by_id, IDS[0]), loaders.load(department_by_id, DepartmentId(1)))
        return made.redis

    await request()
    await worker.cache.settle()
    with valkey.client as client:
        client.config_resetstat()
        first, second = await asyncio.gather(request(), request())
        assert first == second and len(first) == 1
        assert client.info("commandstats")["cmdstat_mget"]["calls"] == 1


async def test_one_who_gives_up_takes_nobody_along(worker: Worker) -> None:
    order = Sequencer()

    async def slow(_: ReadConnection, keys: Sequence[int]) -> dict[int, int]:
        await order.stop("fetch")
        return {key: key * 10 for key in keys}

    batch, loaders = batch_of("slow", slow), Loaders(worker.database, worker.cache)
    one, two = (asyncio.create_task(loaders.load(batch, 7)) for _ in range(2))
    await order.until("fetch")
    one.cancel()
    await asyncio.wait([one])
    order.go("fetch")
    assert await two == 70 and one.cancelled()
    assert await loaders.load(batch, 7) == 70
    await worker.cache.settle()


async def test_an_exception_is_handed_to_everybody_and_not_remembered(worker: Worker) -> None:
    failures = [ZeroDivisionError("first")]

    async def failing(_: ReadConnection, keys: Sequence[int]) -> dict[int, int]:
        if failures:
            raise failures.pop()
        return dict.fromkeys(keys, 5)

    batch, loaders = batch_of("failing", failing), Loaders(worker.database, worker.cache)
    found = await asyncio.gather(*(loaders.load(batch, key) for key in (1, 2, 2)), return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 3
    assert await loaders.load_many(batch, (1, 2)) == [5, 5]
    await worker.cache.settle()


async def test_batches_are_split_where_they_are_told_to_be(worker: Worker) -> None:
    sizes: list[int] = []

    async def counting(_: ReadConnection, keys: Sequence[int]) -> dict[int, int]:
        sizes.append(len(keys))
        return {key: key for key in keys}

    before = counters["batch_splits", "counting"]
    batch = batch_of("counting", counting, most_keys=2)
    assert await Loaders(worker.database, worker.cache).load_many(batch, range(5)) == [0, 1, 2, 3, 4]
    assert sizes == [2, 2, 1] and counters["batch_splits", "counting"] == before + 1
    await worker.cache.settle()


async def test_a_request_reads_its_own_write_before_and_after_commit(worker: Worker) -> None:
    loaders = Loaders(worker.database, worker.cache)

    async def name() -> str:
        return (await loaders.must(employee_by_id, IDS[0])).full_name

    assert await name() == "name 1"
    async with unit_of_work(worker.database, worker.cache, loaders) as unit:
        await unit.connection.execute(RENAME, name="mine", id=1)
        assert await name() == "mine"
        assert await worker.name() == "name 1", "nobody else sees it, and it is not stored"
    assert await name() == "mine" and await worker.name() == "mine"


async def test_an_undone_write_leaves_nothing_behind(worker: Worker) -> None:
    loaders = Loaders(worker.database, worker.cache)
    await worker.name()
    async with unit_of_work(worker.database, worker.cache, loaders) as unit:
        await unit.connection.execute(RENAME, name="tried", id=1)
        unit.undo()
    assert unit.tags == ["employee.any", "employee.id=1"], "a dry run tells what it would invalidate"
    assert (await loaders.must(employee_by_id, IDS[0])).full_name == "name 1"
    assert await worker.from_cache()


@pytest.mark.parametrize("payload", [b"\xc1", b"", b"\x91\xa1\xff", b"\x93\x01"])
async def test_an_entry_that_does_not_decode_is_a_miss(worker: Worker, valkey: Valkey, payload: bytes) -> None:
    await worker.name()
    with valkey.client as client:
        [key] = client.keys("test:e:employee@*")
        fence, stamps, _, own_key = decode_entry(client.get(key))
        client.set(key, encode((fence, stamps, msgspec.Raw(payload or b"\xc4\x00"), own_key)))
        before = counters["cache_undecodable", "employee"]
        assert await worker.name() == "name 1"
        assert counters["cache_undecodable", "employee"] == before + 1
        client.set(key, payload)
    assert await worker.name() == "name 1" and await worker.from_cache()


async def test_what_another_version_of_the_code_stored_is_not_read(worker: Worker) -> None:
    policy = employee_by_id.policy
    await worker.name()
    here = policy.prefix
    policy.prefix = "employee@another:"
    try:
        assert not await worker.from_cache()
    finally:
        policy.prefix = here
    assert await worker.from_cache()


def test_no_clock_of_ours_is_compared_with_that_of_a_server() -> None:
    """Deadlines are made and read by Redis or by PostgreSQL; of our own clock only the monotonic one is used."""
    for path in [*(CHECKOUT / "cache").rglob("*.py"), *(CHECKOUT / "loaders").rglob("*.py")]:
        names = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        assert not names & {"time.time", "datetime.now", "datetime.utcnow", "time.time_ns"}, path


def test_every_entry_has_a_life() -> None:
    """No script writes a key without an expiry; none enumerates keys."""
    for path in sorted(Path(CHECKOUT / "cache" / "lua").glob("*.lua")):
        for line in path.read_text().splitlines():
            if "redis.call('SET'" in line:
                assert "'PX'" in line or "'PXAT'" in line, (path.name, line)
            assert "'KEYS'" not in line and "'SCAN'" not in line and "SADD" not in line
