"""Equal misses make one statement: within a worker, over workers, and when the one who is at it fails or dies."""

import asyncio
import itertools
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from cache import filling
from cache.filling import mark_life_ms
from cache.leases import Lease
from cache.policy import Policy
from cache.second_level import SecondLevelCache
from cache.server import SHA
from db import tags
from db.connection import ReadConnection
from db.embedded.lease import CHECKOUT
from domain.ids import EmployeeId
from loaders.batch import Batch, Loaders
from loaders.employees import employee_by_id
from loaders.unit_of_work import unit_of_work
from telemetry.counters import counters
from telemetry.recording import record_sql, recording
from tests.coherence.valkey import Valkey
from tests.coherence.worker import Worker
from tests.kit.sequencer import Sequencer, within


class Counting:
    """An aggregate whose statement stops where it is told to; `asked` is what was asked of the database."""

    def __init__(self, kind: Any = "aggregate") -> None:
        self.asked: list[Sequence[int]] = []
        self.order = Sequencer()
        self.stops: list[str] = []
        self.failures = 0
        self.batch: Batch[int, str] = Batch(
            self.fetch, Policy("counting", str, kind, lambda key: (tags.EMPLOYEE(key),)), absent=""
        )

    async def fetch(self, connection: ReadConnection, keys: Sequence[int]) -> dict[int, str]:
        self.asked.append(list(keys))
        number = len(self.asked)
        record_sql("counting")
        if self.stops:
            await self.order.stop(self.stops.pop(0))
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        return dict.fromkeys(keys, f"answer {number}")


async def until_counted(name: str, number: int) -> None:
    """Wait until a counter of the aggregate has come so far."""
    async with asyncio.timeout(20):
        while counters[name, "counting"] < number:
            await asyncio.sleep(0)


def asking(worker: Worker, batch: Batch[int, str], *keys: int) -> "asyncio.Task[list[str | None]]":
    """A request of its own."""
    return asyncio.create_task(Loaders(worker.database, worker.cache).load_many(batch, keys))


async def test_requests_of_a_worker_share_what_is_under_way(worker: Worker) -> None:
    counting, before = Counting(), counters["cache_shared", "counting"]
    counting.stops = ["fetch"]
    requests = [asking(worker, counting.batch, 1) for _ in range(50)]
    await counting.order.until("fetch")
    requests += [asking(worker, counting.batch, 1, 2) for _ in range(2)]
    await until_counted("cache_shared", before + 52)  # 49 of the first, both of the last, and one of key 2
    counting.order.go("fetch")
    assert await asyncio.gather(*requests) == [["answer 1"]] * 50 + [["answer 1", "answer 2"]] * 2
    assert counting.asked == [[1], [2]]
    await worker.cache.settle()
    assert await asking(worker, counting.batch, 1, 2) == ["answer 1", "answer 2"] and len(counting.asked) == 2


async def test_rows_by_id_are_shared_by_those_who_ask_for_the_same(worker: Worker, other: Worker) -> None:
    counting, before = Counting("employee"), counters["cache_shared", "counting"]
    counting.stops = ["fetch"]
    requests = [asking(worker, counting.batch, 1, 2) for _ in range(50)]
    await counting.order.until("fetch")
    assert await asking(worker, counting.batch, 1) == ["answer 2"], "other keys, which nobody has to wait for"
    requests += [asking(worker, counting.batch, 1, 2)]
    await until_counted("cache_shared", before + 2 * 50)
    counting.order.go("fetch")
    assert await asyncio.gather(*requests) == [["answer 1"] * 2] * 51
    assert counting.asked == [[1, 2], [1]]
    await worker.cache.settle()


async def test_rows_that_are_on_their_way_to_redis_are_not_asked_for_again(worker: Worker) -> None:
    counting = Counting("employee")
    found = [await asking(worker, counting.batch, 1) for _ in range(3)]
    assert (found, counting.asked) == ([["answer 1"]] * 3, [[1]])
    await worker.cache.settle()


async def test_rows_are_asked_for_again_by_who_has_seen_newer_stamps(worker: Worker, other: Worker) -> None:
    counting = Counting("employee")
    counting.stops = ["old"]
    old = asking(worker, counting.batch, 1)
    await counting.order.until("old")
    await other.rename("new")
    assert await asking(worker, counting.batch, 1) == ["answer 2"]
    counting.order.go("old")
    assert await old == ["answer 1"]
    await worker.cache.settle(), await other.cache.settle()


async def test_of_rows_that_are_shared_one_who_gives_up_or_fails_takes_nobody_along(worker: Worker) -> None:
    counting, before = Counting("employee"), counters["cache_shared", "counting"]
    counting.stops = ["first", "again"]
    first, second, third = (asking(worker, counting.batch, 1) for _ in range(3))
    await counting.order.until("first")
    await until_counted("cache_shared", before + 2)
    first.cancel()
    await until_counted("cache_shared", before + 3)  # one of the two does it now, and the other one waits for that
    counting.order.go("again")
    assert [await second, await third] == [["answer 2"]] * 2 and counting.asked == [[1]] * 2
    counting.stops = ["fails"]
    await worker.cache.settle()
    counting.failures = 1
    requests = [asking(worker, counting.batch, 2) for _ in range(3)]
    await counting.order.until("fails")
    await until_counted("cache_shared", before + 3 + 2)
    counting.order.go("fails")
    found = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 3
    assert await asking(worker, counting.batch, 2) == ["answer 4"], "a failure is not remembered"
    await worker.cache.settle()


async def test_one_who_gives_up_takes_nobody_along_and_the_last_one_ends_it(worker: Worker, other: Worker) -> None:
    counting, before = Counting(), counters["cache_shared", "counting"]
    counting.stops = ["fetch", "again"]
    one, two = asking(worker, counting.batch, 1), asking(worker, counting.batch, 1)
    await counting.order.until("fetch")
    await until_counted("cache_shared", before + 1)
    one.cancel()
    await asyncio.wait([one])
    counting.order.go("fetch")
    assert await two == ["answer 1"]
    await worker.cache.settle()
    await other.rename("new")
    three = asking(worker, counting.batch, 1)
    await counting.order.until("again")
    three.cancel()
    await asyncio.wait([three])
    assert await asking(other, counting.batch, 1) == ["answer 3"], "the lease was given back"
    await other.cache.settle(), await worker.cache.settle()


async def test_a_failure_is_told_to_those_who_wait_and_not_remembered(worker: Worker, other: Worker) -> None:
    counting, shared, waits = Counting(), counters["cache_shared", "counting"], counters["cache_waits", "counting"]
    counting.stops = ["fails"]
    counting.failures = 1
    requests = [asking(worker, counting.batch, 1) for _ in range(3)]
    await counting.order.until("fails")
    await until_counted("cache_shared", shared + 2)
    waiting = asking(other, counting.batch, 1)
    await until_counted("cache_waits", waits + 1)
    counting.order.go("fails")
    found = await asyncio.gather(*requests, return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 3
    assert await waiting == ["answer 2"], "the lease was given back, and another worker made it"
    assert await asking(worker, counting.batch, 1) == ["answer 2"]
    await worker.cache.settle(), await other.cache.settle()


async def test_another_worker_waits_for_the_entry(worker: Worker, other: Worker) -> None:
    counting, before = Counting(), counters["cache_waits", "counting"]
    counting.stops = ["fetch"]
    making = asking(worker, counting.batch, 1)
    await counting.order.until("fetch")
    waiting = [asking(other, counting.batch, 1) for _ in range(3)]
    await until_counted("cache_waits", before + 1)
    counting.order.go("fetch")
    assert await making == ["answer 1"] and await asyncio.gather(*waiting) == [["answer 1"]] * 3
    assert counting.asked == [[1]]


async def test_when_the_one_who_is_at_it_dies_one_of_the_others_takes_over(
    worker: Worker, other: Worker, new_worker: Any
) -> None:
    """As far as others can tell: it prolongs its lease no more."""
    third, counting = await new_worker(), Counting()
    counting.stops = ["dies", "takes over"]
    making = asking(worker, counting.batch, 1)
    await counting.order.until("dies")
    worker.redis.hang()
    waiting = [asking(each, counting.batch, 1) for each in (other, third) for _ in range(3)]
    await counting.order.until("takes over")
    counting.order.go("takes over")
    assert await asyncio.gather(*waiting) == [["answer 2"]] * 6
    assert counting.asked == [[1], [1]] and not making.done()
    await worker.redis.heal()
    counting.order.go("dies")
    assert await making == ["answer 1"]
    await worker.cache.settle()


async def test_who_waits_goes_to_the_database_when_redis_is_gone(worker: Worker, other: Worker) -> None:
    counting, before = Counting(), counters["cache_waits", "counting"]
    counting.stops = ["fetch"]
    making = asking(worker, counting.batch, 1)
    await counting.order.until("fetch")
    waiting = asking(other, counting.batch, 1)
    await until_counted("cache_waits", before + 1)
    await other.redis.refuse()
    assert await waiting == ["answer 2"]
    counting.order.go("fetch")
    assert await making == ["answer 1"]
    await worker.cache.settle()


async def test_what_was_begun_before_a_write_is_not_waited_for_after_it(worker: Worker, other: Worker) -> None:
    counting = Counting()
    counting.stops = ["old"]
    making = asking(worker, counting.batch, 1)
    await counting.order.until("old")
    await other.rename("new")
    assert await asking(other, counting.batch, 1) == ["answer 2"], "another worker does not wait"
    await other.cache.settle()
    assert await asking(worker, counting.batch, 1) == ["answer 2"], "nor does the same worker"
    counting.order.go("old")
    await making
    await worker.cache.settle()
    found = [await asking(each, counting.batch, 1) for each in (worker, other)]
    assert found == [["answer 3"]] * 2, "what was stored late is never served: it only costs another statement"


async def test_while_a_tag_is_held_nobody_waits_and_nothing_is_stored(worker: Worker, other: Worker) -> None:
    counting = Counting()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    found = await asyncio.gather(*(asking(worker, counting.batch, 1) for _ in range(2)))
    assert sorted(found) == [["answer 1"], ["answer 2"]] or sorted(found) == [["answer 2"], ["answer 2"]]
    stop.go_on()
    await writing


async def test_no_lease_is_left_behind(worker: Worker, valkey: Valkey) -> None:
    counting = Counting()
    await asking(worker, counting.batch, 1, 2)
    await worker.cache.settle()
    with valkey.client as client:
        assert client.keys("test:l:*") == [] and len(client.keys("test:e:counting@*")) == 2


@pytest.mark.parametrize("killed", [False, True])
async def test_200_misses_over_four_processes_make_one_statement(
    worker: Worker, database_url: str, valkey: Valkey, killed: bool
) -> None:
    script = [sys.executable, "-m", "tests.coherence.stampede_worker", database_url, str(valkey.path)]
    processes = [await asyncio.create_subprocess_exec(*script, cwd=CHECKOUT, stdin=PIPE, stdout=PIPE) for _ in range(4)]
    draining = asyncio.create_task(_keep_draining(worker))
    try:
        for process in processes:
            assert await _line(process) == "ready"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
        if killed:
            lines = {asyncio.create_task(_line(process)): process for process in processes}
            [first], rest = await asyncio.wait(lines, return_when=asyncio.FIRST_COMPLETED)
            assert first.result() == "asks the database"
            lines[first].send_signal(signal.SIGKILL)
            told = [await line for line in rest]
            told += [await _line(lines[line]) for line in rest if line.result() == "asks the database"]
            assert sorted(told) == ["asks the database", *["same: 50"] * 3]
        else:
            told = [await _line(process) for process in processes]
            told += [await _line(process) for process, line in zip(processes, told, strict=True) if line[0] == "a"]
            assert sorted(told) == ["asks the database", *["same: 50"] * 4]
    finally:
        draining.cancel()
        await asyncio.wait({draining})
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


async def _keep_draining(worker: Worker) -> None:
    while True:
        await worker.drain()
        await asyncio.sleep(0.2)


async def test_entries_that_were_stored_together_do_not_end_together(worker: Worker, valkey: Valkey) -> None:
    """Of an hour 10 % more or less: so what depends on them is not made anew at one moment."""
    counting = Counting("employee")
    await asking(worker, counting.batch, *range(200))
    await worker.cache.settle()
    with valkey.client as client:
        lives_s = sorted(client.pttl(name) / 1000 for name in client.keys("test:e:counting@*"))
    assert len(lives_s) == 200 and 3_200 < lives_s[0] < 3_300 and 3_900 < lives_s[-1] <= 3_960
    assert max(later - earlier for earlier, later in itertools.pairwise(lives_s)) < 100


async def test_an_aggregate_is_made_anew_while_its_entry_is_still_served(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    counting, before = Counting(), counters["cache_renewed", "counting"]
    await asking(worker, counting.batch, 1)
    await worker.cache.settle()
    with valkey.client as client:
        [entry], [mark] = client.keys("test:e:counting@*"), client.keys("test:a:counting@*")
        assert client.pttl(entry) / 2 <= client.pttl(mark) < client.pttl(entry) - 150
        counting.stops = ["early"]
        client.delete(mark)
        with recording() as made:
            found = await asyncio.gather(*(asking(worker, counting.batch, 1) for _ in range(3)))
        assert found == [["answer 1"]] * 3 and [hits for _, _, hits in made.batches] == [1] * 3
        await counting.order.until("early")
        assert made.sql == [], "it belongs to no request"
        assert await asking(other, counting.batch, 1) == ["answer 1"], "another worker waits no more than this one"
        counting.order.go("early")
        await worker.cache.settle(), await other.cache.settle()
        assert await asking(worker, counting.batch, 1) == ["answer 2"] and counting.asked == [[1], [1]]
        assert client.exists(mark) and counters["cache_renewed", "counting"] == before + 2


async def test_an_early_renewal_that_fails_harms_nobody(worker: Worker, valkey: Valkey) -> None:
    counting = Counting()
    await asking(worker, counting.batch, 1)
    await worker.cache.settle()
    with valkey.client as client:
        client.delete(*client.keys("test:a:counting@*"))
        counting.failures = 1
        assert await asking(worker, counting.batch, 1) == ["answer 1"]
        await worker.cache.settle()
        assert await asking(worker, counting.batch, 1) == ["answer 1"]
        await worker.cache.settle()
        assert await asking(worker, counting.batch, 1) == ["answer 3"]


def test_dear_entries_are_made_anew_earlier_and_never_in_their_first_half() -> None:
    hour_ms = 3_600_000
    cheap = [hour_ms - mark_life_ms(hour_ms, timedelta(milliseconds=1)) for _ in range(200)]
    dear = [hour_ms - mark_life_ms(hour_ms, timedelta(seconds=2)) for _ in range(200)]
    assert 200 <= min(cheap) < max(cheap) <= 1_000 and 4_000 <= min(dear) < max(dear) <= 20_000
    assert mark_life_ms(1_000, timedelta(seconds=2)) == 500


async def test_what_went_past_the_cache_is_counted_by_reason(worker: Worker, valkey: Valkey) -> None:
    batch = Counting().batch
    loaders = Loaders(worker.database, worker.cache)

    async def reasons() -> list[tuple[str, str, int]]:
        with recording() as made:
            await loaders.load_many(batch, (1, 2))
        loaders.clear()
        return made.bypasses

    assert await reasons() == []
    async with unit_of_work(worker.database, worker.cache, loaders):
        assert await reasons() == [("counting", "writing", 2)]
    await worker.cache.settle()
    valkey.ask("DEL test:f")
    assert await reasons() == [("counting", "fenced", 2)]
    await worker.redis.refuse()
    assert await reasons() == [("counting", "unreachable", 2)]
    assert await reasons() == [("counting", "breaker", 2)]
    loaders = Loaders(worker.database, SecondLevelCache(None))
    assert await reasons() == [("counting", "off", 2)]


async def test_what_could_not_be_stored_because_it_was_held_is_counted(worker: Worker, other: Worker) -> None:
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    with recording() as made:
        await asking(worker, Counting().batch, 1)
    assert made.bypasses == [("counting", "held", 1)]
    stop.go_on()
    await writing


async def test_a_lease_is_given_back_with_the_last_of_what_leaves(
    worker: Worker, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or who waits for it would find nothing, and make it once more."""
    monkeypatch.setattr(filling, "MOST_BYTES", 0)
    cache, policy, keys = worker.cache, employee_by_id.policy, [EmployeeId(98), EmployeeId(99)]
    assert cache.leases is not None
    reading = await cache.read(policy, keys)
    lease = await cache.leases.take(Lease("token", tuple(cache.fill_names(reading).values())))
    first, second = (worker.redis.stop_before(SHA["fill"].encode()) for _ in keys)
    cache.fill_later(policy, reading, dict.fromkeys(keys), lease)
    await within(first.reached.wait())
    first.go_on()
    await within(second.reached.wait())
    entries = [cache.entry_name(reading.names[key]) for key in keys]
    with valkey.client as client:
        while not client.exists(*entries):
            await asyncio.sleep(0)
        assert client.exists(*entries) == 1 and client.exists(*lease.names) == 2
        second.go_on()
        await cache.settle()
        assert client.exists(*entries) == 2 and client.exists(*lease.names) == 0


async def test_answers_that_are_made_at_once_leave_one_after_the_other(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty of 1 MB in one command would keep Redis busy for longer than anybody waits for it."""
    monkeypatch.setattr(filling, "MOST_BYTES", 0)
    await worker.name()  # so that Valkey knows the script
    asked = worker.redis.asked
    for number in range(3):
        name = f"answer {number}"
        worker.cache.soon(partial(worker.cache.store, "answer", name, b"large", timedelta(minutes=1)))
    await worker.cache.settle()
    assert worker.redis.asked - asked == 3
