"""Redis refused, hung, emptied, restarted, failed over: no request fails, and nothing old is told."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count

import pytest

from cache.breaker import Breaker
from cache.second_level import FENCE_LIFE
from cache.server import SHA, Answer, CacheUnreachable, Server
from telemetry.counters import counters
from telemetry.recording import recording
from tests.coherence.conftest import NewWorker
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import Worker, open_worker
from tests.kit.sequencer import within

HOLD, RELEASE = SHA["hold"].encode(), SHA["release"].encode()
TIGHT = timedelta(milliseconds=100)
FENCE_LIFE_MS = FENCE_LIFE / timedelta(milliseconds=1)


async def clock_ms(worker: Worker) -> int:
    """What time it is for Redis."""
    assert worker.cache.server is not None
    return int((await worker.cache.server.clock_ms()).value)


@pytest.fixture
def saving_valkey() -> Iterator[Valkey]:
    """A Valkey that comes back from a crash with what it had saved."""
    with private_valkey(dbfilename="dump.rdb") as found:
        yield found


async def test_a_refused_redis_costs_no_request(worker: Worker) -> None:
    assert await worker.name() == "name 1"
    await worker.redis.refuse()
    assert await worker.name() == "name 1"
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    assert await worker.name() == "new"


async def test_the_first_requests_of_a_hang_wait_once_and_then_nobody_does(new_worker: NewWorker) -> None:
    worker = await new_worker(patience=TIGHT)
    await worker.drain()
    await worker.name()
    assert worker.cache.server is not None
    worker.cache.server.breaker = Breaker(count(0, 1).__next__)  # it is always time to try again
    worker.redis.hang()
    asked = worker.redis.asked
    with recording() as first:
        assert await asyncio.gather(*(worker.name(number) for number in (1, 2, 3))) == ["name 1", "name 2", "name 3"]
    assert {reason for _, reason, _ in first.bypasses} == {"unreachable"}
    assert worker.redis.asked - asked == 1, "they wait together"
    with recording() as made:
        assert await worker.name() == "name 1"
    assert made.sql == ["employee_by_id"] and made.bypasses == [("employee", "breaker", 1)]
    assert worker.redis.asked - asked == 1, "who only reads does not try again"
    await worker.redis.heal()
    assert await worker.drain() and await worker.from_cache(), "the drain tries again"


async def test_a_writer_without_redis_switches_the_cache_off_for_everyone(worker: Worker, other: Worker) -> None:
    """A partition of one writer: readers that have Redis must not be told the old value after its write."""
    assert await worker.name() == "name 1"
    before_ms = await clock_ms(worker)
    assert await worker.drain()
    await other.redis.refuse()
    with recording() as made:
        await within(other.rename("new"))
    assert await clock_ms(worker) - before_ms >= FENCE_LIFE_MS, "it waits until the last fence has lapsed"
    assert made.sql.count("cache_covered") == 2, "and no longer"
    assert await worker.name() == "new" and not await worker.from_cache()
    assert not await worker.drain(), "nobody renews the fence while the cache is suspended"
    with recording() as made:
        await other.rename("newer")
    assert made.sql.count("cache_suspend") == 1, "a later writer does not wait"
    assert await worker.name() == "newer"


async def test_after_a_suspension_the_cache_is_used_only_once_the_outbox_is_drained(
    worker: Worker, other: Worker
) -> None:
    assert await worker.name() == "name 1"
    await other.redis.refuse()
    await other.rename("new")
    await worker.psql("UPDATE cache_state SET suspended_until = clock_timestamp()")  # as if its 4 s were over
    assert not await worker.from_cache() and await worker.name() == "new"
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_a_hold_that_was_made_but_not_answered_does_no_harm(worker: Worker, other: Worker) -> None:
    await worker.name()
    other.redis.lose_answer_to(HOLD)
    await other.rename("new")
    assert await worker.name() == "new"
    await worker.psql("UPDATE cache_state SET suspended_until = clock_timestamp()")
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_a_writer_that_cannot_release_leaves_the_tag_held_until_the_drain(worker: Worker, other: Worker) -> None:
    """As one that dies after COMMIT."""
    await worker.name()
    stop = other.redis.stop_before(RELEASE)
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    await other.redis.refuse()
    await writing
    assert await worker.name() == "new" and not await worker.from_cache()
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_an_emptied_redis_is_off_until_the_next_tick(worker: Worker, other: Worker, valkey: Valkey) -> None:
    await worker.name()
    valkey.ask("FLUSHALL")
    assert not await worker.from_cache() and not await worker.from_cache()
    await other.rename("new")
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_an_evicted_stamp_is_never_taken_for_a_version(worker: Worker, valkey: Valkey) -> None:
    await worker.name()
    with valkey.client as client:
        client.delete(*client.keys("test:s:*"))
    assert not await worker.from_cache()
    assert await worker.from_cache()


async def test_an_evicted_fence_is_off_until_the_next_tick(worker: Worker, valkey: Valkey) -> None:
    await worker.name()
    with valkey.client as client:
        assert 0 < client.pttl("test:f") <= 2_000
        client.delete("test:f")
    assert not await worker.from_cache() and not await worker.from_cache()
    assert await worker.drain() and await worker.from_cache()


async def test_a_redis_that_restarts_with_old_keys_is_another_one(database_url: str, saving_valkey: Valkey) -> None:
    async with open_worker(database_url, saving_valkey.path, "test") as worker:
        await _lose_a_write(worker, saving_valkey)
        assert await worker.name() == "new" and not await worker.from_cache()
        assert await worker.drain()
        assert await worker.name() == "new" and await worker.from_cache()


async def test_without_its_run_id_the_old_keys_would_be_believed(
    database_url: str, saving_valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the test above can fail."""
    answered = Server._answered

    async def nameless(self: Server, command: Sequence[object]) -> Answer:
        return (await answered(self, command))._replace(run_id="anyone")

    monkeypatch.setattr(Server, "_answered", nameless)
    async with open_worker(database_url, saving_valkey.path, "test") as worker:
        await _lose_a_write(worker, saving_valkey)
        assert await worker.name() == "name 1"


async def _lose_a_write(worker: Worker, valkey: Valkey) -> None:
    """Valkey comes back with the fence, the stamps and the entry from before a write."""
    assert await worker.drain()
    await worker.name()
    valkey.ask("SAVE")
    await worker.rename("new")
    valkey.restart()
    with valkey.client as client:
        assert client.exists("test:f") and len(client.keys("test:e:*")) == 1, "the test came too late"
    await worker.reconnect()


async def test_a_promoted_replica_that_lost_writes_is_another_one(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    """One worker goes over to it and writes there, while the other still reads from the one that was left."""
    await worker.name()
    with private_valkey() as replica, valkey.client as old, replica.client as new:
        for key in old.keys("*"):
            new.restore(key, 60_000, old.dump(key))
        other.redis.point_to(replica.path)
        await other.reconnect()
        assert await other.name() == "name 1" and not await other.from_cache()
        assert await other.drain(), "the fence moves to the new one"
        await other.rename("new")
        assert await worker.name() == "new", "the fence of the one that was left had to lapse first"
        assert await other.name() == "new"


async def test_a_worker_whose_connections_stayed_with_the_redis_that_was_left_follows_the_others(
    worker: Worker, other: Worker
) -> None:
    """The address leads to another server, but nobody cut what was open: else each would move the fence to its own."""
    await worker.name()
    await other.name(2)
    with private_valkey() as promoted:
        other.redis.point_to(promoted.path, cut=False)
        worker.redis.point_to(promoted.path)
        await worker.reconnect()
        assert await worker.drain()
        home = await worker.psql("SELECT epoch, run_id FROM cache_state")
        assert await other.drain()
        assert await worker.psql("SELECT epoch, run_id FROM cache_state") == home
        assert other.cache.server is not None and other.cache.server.run_id == home[0][1]


async def test_once_another_redis_answered_no_older_connection_is_used(worker: Worker) -> None:
    server = worker.cache.server
    assert server is not None
    before = {answer.run_id for answer in await asyncio.gather(*(server.ask("PING") for _ in range(2)))}
    with private_valkey() as promoted:
        worker.redis.point_to(promoted.path, cut=False)
        both = {answer.run_id for answer in await asyncio.gather(*(server.ask("PING") for _ in range(3)))}
        assert len(both) == 2 and before < both
        after = {answer.run_id for answer in await asyncio.gather(*(server.ask("PING") for _ in range(3)))}
        assert after == both - before


async def test_a_writer_that_comes_just_after_the_fence_has_moved_waits_and_holds(
    worker: Worker, valkey: Valkey
) -> None:
    """So it need not switch the cache off for 4 s more."""
    await worker.name()
    valkey.restart()
    await worker.reconnect()
    before_ms = await clock_ms(worker)
    assert await worker.drain()
    with recording() as made:
        await within(worker.rename("new"))
    assert await clock_ms(worker) - before_ms >= FENCE_LIFE_MS, "it waits until the last fence has lapsed"
    assert (made.sql.count("cache_pending"), made.sql.count("cache_suspend")) == (2, 0)
    assert await worker.drain() and await worker.name() == "new" and await worker.from_cache()


async def test_a_writer_that_waited_without_redis_holds_once_that_is_back(worker: Worker, other: Worker) -> None:
    """The suspension that it began is not made longer."""
    await worker.name()
    await other.redis.refuse()
    with recording() as made:
        writing = asyncio.create_task(other.rename("new"))
        async with asyncio.timeout(30):
            while await worker.psql("SELECT suspended_until > clock_timestamp() FROM cache_state") == [(False,)]:
                pass
        await other.redis.heal()
        await writing
    assert made.sql.count("cache_suspend") == 1
    assert await worker.name() == "new"


async def test_a_drain_that_meets_two_servers_drains_nothing(worker: Worker, other: Worker) -> None:
    """The clock of one, the renewal on the other: the outbox must not be lost."""
    await worker.name()
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    with private_valkey() as replica:
        stop = other.postgres.stop_before(b"DELETE FROM cache_outbox")
        draining = asyncio.create_task(other.drain())
        await within(stop.reached.wait())
        other.redis.point_to(replica.path)
        await other.reconnect()
        stop.go_on()
        with pytest.raises(CacheUnreachable, match="replaced by another server"):
            await draining
    assert await worker.psql("SELECT count(*) FROM cache_outbox") == [(1,)]
    assert await worker.drain() and await worker.name() == "new"


async def test_a_full_redis_costs_no_request(worker: Worker, other: Worker, valkey: Valkey) -> None:
    await worker.name()
    valkey.ask("CONFIG SET maxmemory 1")
    valkey.ask("CONFIG SET maxmemory-policy noeviction")
    assert await worker.name(2) == "name 2"
    await other.rename("new")
    assert await worker.name() == "new"
    assert worker.cache.server is not None and worker.cache.server.breaker.state == "closed"


async def test_an_answer_that_breaks_off_is_no_answer(worker: Worker) -> None:
    await worker.name()
    worker.redis.cut_after(20)
    assert await worker.name() == "name 1"
    await worker.redis.heal()


async def test_a_slow_redis_is_used(worker: Worker) -> None:
    await worker.name()
    worker.redis.delay(timedelta(milliseconds=20))
    assert await worker.from_cache()


async def test_a_script_that_redis_does_not_know_yet_is_no_failure(worker: Worker, valkey: Valkey) -> None:
    """As after every start of either: it is sent again, with its text."""
    valkey.ask("SCRIPT FLUSH")
    counters.clear()
    await worker.name()
    assert await worker.drain() and await worker.from_cache()
    assert [label for name, label in counters if name == "cache_failures"] == []
