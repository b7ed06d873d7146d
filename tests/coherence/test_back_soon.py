"""The end of a suspension before its time, and the fence on its way: each step in the one case in which it matters."""

import asyncio
from contextlib import suppress

import pytest

from cache.server import SHA
from db.where import statement
from domain.errors import Unavailable
from telemetry.recording import recording
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import Worker
from tests.kit.sequencer import within

RENEW = SHA["renew"].encode()
QUIET = "UPDATE cache_state SET ends_from = clock_timestamp()"
"""As if nobody had suspended the cache for 1 s."""
SLOW_COMMIT = """
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
      $$BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END$$"""
SLOWED = """
    CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON employee DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION slow()"""


async def suspend_for_long(worker: Worker) -> None:
    """Somebody began a suspension long ago, so that nobody need wait for the end of the last fence."""
    await worker.psql(
        "UPDATE cache_state SET suspended_from = '-infinity', suspended_until = clock_timestamp() + interval '9 s'"
    )
    await worker.psql(QUIET)


def without_fence(valkey: Valkey) -> None:
    """It has lapsed."""
    with valkey.client as client:
        client.delete("test:f")


async def begin_outage(worker: Worker, other: Worker, valkey: Valkey) -> None:
    """The cache is suspended and its fence gone, and the other worker has no Redis."""
    await suspend_for_long(worker)
    without_fence(valkey)
    await other.redis.refuse()


async def test_a_suspension_ends_once_nobody_begins_it_any_more(worker: Worker, other: Worker, valkey: Valkey) -> None:
    await worker.name()
    await begin_outage(worker, other, valkey)
    await other.rename("new")
    assert not await worker.drain(), "1 s is not over"
    await worker.psql(QUIET)
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_a_suspension_never_ends_before_a_writer_that_counts_on_it(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    await begin_outage(worker, other, valkey)
    covered = other.postgres.stop_before(b"cache_covered")
    writing = asyncio.create_task(other.rename("new"))
    await within(covered.reached.wait())
    commit = other.postgres.stop_before(b"COMMIT")
    covered.go_on()
    await within(commit.reached.wait())
    await worker.psql(QUIET)
    ended = await worker.drain()
    assert await worker.name() == "name 1"
    commit.go_on()
    await writing
    assert await worker.name() == "new" and not ended
    assert await worker.drain() and await worker.name() == "new" and await worker.from_cache()


async def test_a_suspension_never_lapses_before_a_commit_that_takes_long(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    """A disk or a synchronous replica may hold a COMMIT up for longer than the 4 s."""
    await begin_outage(worker, other, valkey)
    await worker.psql(SLOW_COMMIT)
    await worker.psql(SLOWED)
    async with worker.database.transaction() as disk:
        await disk.records(statement("busy", "SELECT pg_advisory_xact_lock(1)"))
        writing = asyncio.create_task(other.rename("new"))
        while await worker.psql("SELECT FROM pg_locks WHERE objid = 1 AND NOT granted") == []:
            pass
        await worker.psql("UPDATE cache_state SET suspended_until = clock_timestamp()")  # as if its 4 s were over
        lapsed = await worker.drain()
        assert await worker.name() == "name 1"
    await writing
    assert await worker.name() == "new" and not lapsed
    assert await worker.drain() and await worker.name() == "new" and await worker.from_cache()


async def test_a_writer_whose_suspension_has_ended_begins_another(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    await begin_outage(worker, other, valkey)
    covered = other.postgres.stop_before(b"cache_covered")
    with recording() as made:
        writing = asyncio.create_task(other.rename("new"))
        await within(covered.reached.wait())
        await worker.psql(QUIET)
        assert await worker.drain() and await worker.name() == "name 1" and await worker.from_cache()
        covered.go_on()
        await writing
    assert await worker.name() == "new"
    assert made.sql.count("cache_suspend") == 3, "which it prolongs after its wait"


async def test_a_writer_that_freezes_while_it_waits_for_the_end_of_a_fence_loses_its_transaction(
    worker: Worker, other: Worker
) -> None:
    """It may idle for 2.5 s longer than it has to wait: so long it keeps the cache off."""
    await worker.name()
    await worker.psql(
        "UPDATE cache_state SET suspended_from = clock_timestamp() - interval '1.9 s',"
        " suspended_until = clock_timestamp() + interval '9 s'"
    )
    await other.redis.refuse()
    covered = other.postgres.stop_before(b"cache_covered")
    writing = asyncio.create_task(other.rename("never"))
    await within(covered.reached.wait())
    frozen = other.postgres.stop_before(b"cache_pending", covered)
    covered.go_on()
    await within(frozen.reached.wait())
    await worker.psql(QUIET)
    assert not await worker.drain(), "it counts on the suspension still"
    async with asyncio.timeout(4):
        while not await worker.drain():
            await asyncio.sleep(0.05)
    assert await worker.name() == "name 1" and await worker.from_cache()
    frozen.go_on()
    with pytest.raises(Unavailable):
        await writing


async def test_the_end_of_a_suspension_stands_before_the_fence_is_renewed(worker: Worker, other: Worker) -> None:
    """Or, if the leader dies just after it, a writer would think that nobody had renewed the fence for long."""
    await suspend_for_long(worker)
    await _die_after_renewal(worker)
    assert await worker.name() == "name 1" and await worker.from_cache()
    await other.redis.refuse()
    await other.rename("new")
    assert await worker.name() == "new"


async def test_that_the_fence_has_moved_stands_before_it_is_renewed_there(worker: Worker, other: Worker) -> None:
    """Or, if the leader dies just after it, a writer would hold on the Redis that was left while the new one serves."""
    with private_valkey() as replica:
        other.redis.point_to(replica.path)
        await other.reconnect()
        await _die_after_renewal(other)
        assert await other.name() == "name 1" and await other.from_cache()
        await worker.rename("new")
        assert await other.name() == "new"


async def _die_after_renewal(leader: Worker) -> None:
    renewal = leader.redis.stop_before(RENEW)
    draining = asyncio.create_task(leader.drain())
    await within(renewal.reached.wait())
    commit = leader.postgres.stop_before(b"COMMIT")
    renewal.go_on()
    await within(commit.reached.wait())
    commit.drop()
    with pytest.raises(Unavailable):
        await draining


async def test_the_fence_moves_while_a_writer_waits_that_could_not_hold(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    """So those who come meanwhile wait for the old fence and hold, and do not suspend the cache once more."""
    await worker.name()
    hold = other.redis.stop_before(SHA["hold"].encode())
    waiting = asyncio.create_task(other.rename("new"))
    await within(hold.reached.wait())
    valkey.restart()
    hold.drop()
    async with asyncio.timeout(30):
        while await worker.psql("SELECT suspended_until > clock_timestamp() FROM cache_state") == [(False,)]:
            pass
    with suppress(Unavailable):
        assert not await worker.drain()
    assert worker.cache.server is not None
    here = [(">" + worker.cache.server.run_id,)]
    assert await worker.psql("SELECT run_id FROM cache_state") == here and not waiting.done()
    with recording() as made:
        await worker.rename("newer", 2)
    await waiting
    assert made.sql.count("cache_suspend") == 0
    await worker.psql(QUIET)
    assert await worker.drain(), "it does not last for 4 s"
    assert [await worker.name(1), await worker.name(2)] == ["new", "newer"] and await worker.from_cache()
