"""Reads use a replica where it has what they need, and the primary otherwise."""

import asyncio

import pytest

import db.database
from db import coherence
from db.connection import ReadConnection
from db.errors import Unreachable
from db.where import statement
from domain.errors import Unavailable
from domain.ids import EmployeeId
from loaders.employees import employee_by_id
from loaders.routing import looked_up
from tests.coherence.valkey import Valkey
from tests.coherence.worker import Worker
from tests.kit.sequencer import within
from tests.replicas.conftest import known, rested
from tests.replicas.pair import Pair

BY_ID = "FROM employee"
LSNS = """
    SELECT CAST(pg_current_wal_flush_lsn() - '0/0' AS bigint), CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)"""


def asked(pair: Pair) -> tuple[int, int]:
    """Statements about employees that (primary, replica) got since this was last asked."""
    return pair.statements(pair.primary, BY_ID), pair.statements(pair.replica, BY_ID)


async def test_a_replica_that_has_everything_is_asked_and_what_it_says_is_cached(pair: Pair, worker: Worker) -> None:
    await pair.caught_up()
    asked(pair)
    assert await worker.name() == "name 1"
    assert asked(pair) == (0, 1)
    assert await worker.from_cache()


async def test_what_the_replica_lacks_is_asked_of_the_primary(pair: Pair, worker: Worker) -> None:
    await pair.caught_up()
    await pair.pause()
    await worker.rename("new")
    asked(pair)
    assert await worker.name() == "new" and await worker.name(2) == "name 2"
    assert asked(pair) == (2, 0)
    await pair.resume()
    await pair.caught_up()
    assert await worker.name(3) == "name 3"
    assert asked(pair) == (0, 1)


async def test_a_write_of_psql_is_seen_after_a_tick_also_past_a_replica_that_lacks_it(
    pair: Pair, worker: Worker
) -> None:
    await pair.caught_up()
    assert await worker.name() == "name 1"
    await pair.pause()
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    assert await worker.drain()
    asked(pair)
    assert await worker.name() == "new"
    assert asked(pair) == (1, 0)


async def test_a_commit_that_the_replica_shows_before_the_primary_is_not_told(
    pair: Pair, worker: Worker, other: Worker
) -> None:
    """The primary shows a commit once its synchronous replicas have it; ours, which is none of them, has it by then."""
    await pair.caught_up()
    await pair.set_on_primary("synchronous_standby_names", "another")
    reading = await worker.cache.read(employee_by_id.policy, [EmployeeId(1)])
    writing = asyncio.create_task(other.rename("new"))

    async def fetch(connection: ReadConnection) -> str:
        return (await employee_by_id.fetch(connection, [EmployeeId(1)]))[EmployeeId(1)].full_name

    async def of_replica() -> str:
        assert reading.needed is not None
        return (await worker.database.replicas.ask(reading.needed.position, worker.database.replicas.wait, fetch))[0]

    async with asyncio.timeout(30):
        while await of_replica() != "new":
            pass
    tags = ("employee.id=1", "employee")
    assert await looked_up(worker.database, worker.cache, [reading], lambda: tags, fetch) == ("name 1", True)
    await pair.set_on_primary("synchronous_standby_names", "")
    await within(writing)
    assert await worker.name() == "new"


async def test_a_replica_that_dies_fails_no_read_and_is_used_again(pair: Pair, worker: Worker) -> None:
    await pair.caught_up()
    assert await worker.name() == "name 1"
    await pair.kill(pair.replica)
    assert [await worker.name(number) for number in range(2, 6)] == [f"name {number}" for number in range(2, 6)]
    await pair.heal()
    await pair.caught_up()
    asked(pair)
    async with asyncio.timeout(30):
        while asked(pair)[1] == 0:
            assert await worker.drain()
            await worker.write("UPDATE employee SET badge_no = gen_random_uuid()::text WHERE id = 7")
            await pair.caught_up()
            assert await worker.name(7) == "name 7"


async def test_until_the_newest_position_is_certain_the_primary_is_asked(pair: Pair, worker: Worker) -> None:
    """It was evicted: what is made anew may be too low, until a drain that began after it has gone by."""
    await pair.caught_up()
    assert worker.cache.server is not None
    await worker.cache.server.delete([worker.cache.newest_name])
    await pair.pause()
    await worker.rename("new")
    assert await worker.cache.newest() is None
    assert await worker.drain() and await worker.cache.newest() is None
    asked(pair)
    assert await worker.name() == "new" and asked(pair) == (1, 0)
    await known(worker)
    assert await worker.name(2) == "name 2" and asked(pair) == (1, 0)
    await pair.resume()
    await pair.caught_up()
    await rested(worker)
    assert await worker.name(3) == "name 3" and asked(pair) == (0, 1)


async def test_without_a_primary_reads_go_on_and_writes_are_refused(pair: Pair, worker: Worker) -> None:
    await worker.rename("new")
    await pair.caught_up()
    await pair.kill(pair.primary)
    asked(pair)
    assert await worker.name() == "new" and await worker.name(2) == "name 2"
    with pytest.raises(Unavailable, match="cannot be reached") as refused:
        await worker.rename("newer")
    assert refused.value.retry_after_s == 1
    await fence_lapsed(worker)
    assert [await worker.name(number) for number in range(1, 5)] == ["new", "name 2", "name 3", "name 4"]
    assert asked(pair) == (0, 6)
    assert not await worker.from_cache(2), "what a replica says alone is not cached"


@pytest.fixture
async def replaced(pair: Pair, worker: Worker, valkey: Valkey) -> Worker:
    """A worker whose Redis was replaced, while a writer somewhere cannot hold: the cache stays off."""
    await pair.caught_up()
    await worker.psql(
        "UPDATE cache_state SET (suspended_until, ends_from, suspended_from) = ('infinity', 'infinity', '-infinity')"
    )
    valkey.restart()
    await worker.reconnect()
    async with asyncio.timeout(30):
        while await worker.cache.newest() is None:
            assert not await worker.drain()
    return worker


async def test_soon_after_redis_was_replaced_reads_go_on_without_a_primary(pair: Pair, replaced: Worker) -> None:
    """The newest position is known before the cache is used again."""
    await replaced.rename("new")
    assert await replaced.name() == "new" and not await replaced.from_cache()
    await pair.caught_up()
    await pair.kill(pair.primary)
    asked(pair)
    assert await replaced.name() == "new" and await replaced.name(2) == "name 2"
    assert asked(pair) == (0, 2)


async def test_soon_after_redis_was_replaced_what_was_acknowledged_is_never_read_as_absent(
    pair: Pair, replaced: Worker
) -> None:
    """The replica never got it, and knows of nothing that it lacks."""
    await pair.kill(pair.replica)
    await replaced.rename("new")
    await pair.kill(pair.primary)
    await pair.start_again(pair.replica)
    with pytest.raises(Unavailable, match="no replica has what was written last"):
        await replaced.name()
    await pair.heal()
    await pair.caught_up()
    assert await replaced.name() == "new"


async def test_while_a_writer_cannot_hold_no_replica_that_follows_is_asked_alone(pair: Pair, replaced: Worker) -> None:
    """Only we have lost the primary: that writer goes on there, and tells nobody here of it."""
    await replaced.postgres.refuse()
    with pytest.raises(Unavailable, match="no replica has what was written last"):
        await replaced.name()
    await pair.kill(pair.primary)
    assert await replaced.name() == "name 1"


async def test_without_a_primary_what_was_acknowledged_is_never_read_as_absent(pair: Pair, worker: Worker) -> None:
    await pair.caught_up()
    assert await worker.name() == "name 1"
    await pair.pause()
    await worker.rename("new")
    await pair.received()
    await pair.kill(pair.primary)
    await fence_lapsed(worker)
    with pytest.raises(Unavailable, match="no replica has what was written last"):
        await worker.name()
    with pytest.raises(Unavailable):
        await worker.name(2)
    await pair.resume()
    assert await worker.name() == "new"


async def test_without_a_primary_and_without_redis_nothing_is_known_and_reads_are_refused(
    pair: Pair, worker: Worker
) -> None:
    await pair.caught_up()
    await pair.kill(pair.primary)
    await worker.redis.refuse()
    with pytest.raises(Unavailable, match="what its replica lacks is not known"):
        await worker.name()


async def test_who_met_no_redis_a_moment_ago_looks_again_before_reads_are_refused(pair: Pair, worker: Worker) -> None:
    await pair.caught_up()
    await worker.redis.refuse()
    reading = await worker.cache.read(employee_by_id.policy, [EmployeeId(1)])
    assert reading.needed is None
    server = worker.cache.server
    assert server is not None
    await worker.redis.heal()
    async with asyncio.timeout(30):
        while server.breaker.state != "half-open":
            await asyncio.sleep(0.01)
    await worker.postgres.refuse()

    async def fetch(connection: ReadConnection) -> str:
        return (await employee_by_id.fetch(connection, [EmployeeId(1)]))[EmployeeId(1)].full_name

    with pytest.raises(Unavailable, match="no replica has what was written last"):
        await looked_up(worker.database, worker.cache, [reading], list, fetch)
    await pair.kill(pair.primary)
    assert await looked_up(worker.database, worker.cache, [reading], list, fetch) == ("name 1", False)


async def test_what_a_dead_primary_was_about_to_commit_can_be_read(pair: Pair, worker: Worker, other: Worker) -> None:
    """Its hold stays, but nobody is told anything by that primary any more."""
    await pair.caught_up()
    assert await worker.name() == "name 1"
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("never"))
    await within(stop.reached.wait())
    await pair.kill(pair.primary)
    other.postgres.cut()
    with pytest.raises(Unavailable):
        await writing
    assert await worker.name() == "name 1"


async def test_what_no_replica_will_ever_have_is_waited_for_until_there_is_a_primary(
    pair: Pair, worker: Worker
) -> None:
    await pair.caught_up()
    await worker.postgres.refuse()
    assert worker.cache.server is not None
    reading = await worker.cache.read(employee_by_id.policy, [EmployeeId(1)])
    assert reading.sight is not None and reading.sight.newest is not None
    so_far, _, _ = reading.sight.newest.rpartition(b"|")
    reading.sight = reading.sight._replace(newest=b"%s|%d" % (so_far, 2**62))
    asked: list[ReadConnection] = []

    async def fetch(connection: ReadConnection) -> int:
        asked.append(connection)
        return 1

    waiting = asyncio.create_task(looked_up(worker.database, worker.cache, [reading], list, fetch))
    await asyncio.wait({waiting}, timeout=1.5)
    assert not waiting.done() and asked == []
    await worker.postgres.heal()
    await within(waiting)
    assert waiting.result() == (1, True)


async def test_what_is_held_is_not_asked_of_a_replica_that_still_follows(pair: Pair, worker: Worker) -> None:
    """Only we have lost the primary: somebody else may read there what is being committed."""
    await pair.caught_up()
    assert worker.cache.server is not None
    home = await worker.cache.home()
    assert await worker.cache.hold("1-1", ["employee.id=1"], home)
    await worker.postgres.refuse()
    with pytest.raises(Unavailable, match="no replica has what was written last"):
        await worker.name()
    assert await worker.name(2) == "name 2"


@pytest.mark.parametrize(("setting", "flushed"), [("on", True), ("off", False)])
async def test_what_others_have_not_committed_yet_is_no_part_of_what_a_replica_needs(
    pair: Pair, worker: Worker, setting: str, flushed: bool
) -> None:
    """If the primary died now no replica would ever get it; but a commit that need not be flushed is above that."""
    await pair.set_on_primary("wal_writer_delay", "10s")
    async with worker.database.transaction() as connection:
        await connection.records(statement("set", f"SET LOCAL synchronous_commit = {setting}"))
        await connection.execute(statement("write", "UPDATE employee SET version = version + 1"))
        await connection.look_where()
        [places] = await connection.records(statement("lsns", LSNS))
    assert connection.position is not None and places[0] < places[1]
    assert connection.position.lsn == places[0 if flushed else 1]


async def test_what_a_drain_makes_known_has_left_the_primary_before_it_ends(pair: Pair, worker: Worker) -> None:
    """It dies with the primary before its own COMMIT, and nothing else has flushed the log: the replica has all."""
    await pair.set_on_primary("wal_writer_delay", "10s")
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    await pair.caught_up()
    stop = worker.postgres.stop_before(b"COMMIT")
    draining = asyncio.create_task(worker.drain())
    await within(stop.reached.wait())
    await pair.received()
    await pair.kill(pair.primary)
    worker.postgres.cut()
    with pytest.raises(Unavailable):
        await draining
    asked(pair)
    assert await worker.name() == "new"
    assert asked(pair) == (0, 1)


@pytest.mark.parametrize("flushes_since", [17, 99])
async def test_a_commit_that_need_not_be_flushed_is_below_what_a_drain_makes_known(
    pair: Pair, worker: Worker, flushes_since: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where PostgreSQL is too old to flush on request."""
    monkeypatch.setattr(coherence, "FLUSHES_SINCE", flushes_since)
    await pair.set_on_primary("wal_writer_delay", "10s")
    async with worker.database.transaction() as connection:
        await connection.records(statement("set", "SET LOCAL synchronous_commit = off"))
        await connection.execute(statement("write", "UPDATE employee SET full_name = 'new' WHERE id = 1"))
    flushed, inserted = await lsns(worker)
    assert flushed < inserted, "nobody has flushed the commit"
    async with worker.database.transaction() as connection:
        touched, position = await coherence.drain(connection, 1, "test")
        flushed, _ = await lsns(worker)
    assert touched and position.lsn >= inserted
    assert (flushed >= position.lsn) is (flushes_since == 17)


async def test_a_drain_that_finds_nothing_makes_nothing_known_that_is_not_flushed(pair: Pair, worker: Worker) -> None:
    await pair.set_on_primary("wal_writer_delay", "10s")
    async with worker.database.transaction() as writing:
        await writing.execute(statement("write", "UPDATE employee SET version = version + 1"))
        async with worker.database.transaction() as connection:
            touched, position = await coherence.drain(connection, 1, "test")
        assert not touched
        flushed, inserted = await lsns(worker)
        assert position.lsn <= flushed and position.lsn < inserted


async def test_one_read_looks_whether_the_primary_is_back_and_holds_up_no_other(
    pair: Pair, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.database, "AWAY_S", 0.0)
    await lose_primary(worker)
    await worker.postgres.heal()
    worker.postgres.hang()
    monkeypatch.setattr(db.database, "AWAY_S", 3600.0)
    looking = asyncio.create_task(primary_name(worker))
    await asyncio.sleep(0)
    with pytest.raises(Unreachable):
        await primary_name(worker)
    assert not looking.done()
    await worker.postgres.heal()
    await within(looking)
    assert await primary_name(worker) == "name 1"


async def test_a_write_that_reaches_the_primary_again_lets_reads_use_it_at_once(
    pair: Pair, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db.database, "AWAY_S", 3600.0)
    await lose_primary(worker)
    await worker.postgres.heal()
    with pytest.raises(Unreachable):
        await primary_name(worker)
    assert await worker.drain()
    assert await primary_name(worker) == "name 1"


async def lose_primary(worker: Worker) -> None:
    """Let the worker know that it cannot connect: at first it finds only that its connection was cut."""
    await worker.postgres.refuse()
    for _ in range(2):
        with pytest.raises(Unreachable):
            await primary_name(worker)


async def primary_name(worker: Worker) -> object:
    """A name as the primary has it."""
    async with worker.database.read() as connection:
        [(name,)] = await connection.records(statement("name", f"SELECT full_name {BY_ID} WHERE id = 1"))
    return name


async def lsns(worker: Worker) -> tuple[int, int]:
    """How far the log of the primary is (flushed, written)."""
    async with worker.database.read() as connection:
        [(flushed, inserted)] = await connection.records(statement("lsns", LSNS))
    return flushed, inserted


async def fence_lapsed(worker: Worker) -> None:
    """Wait until the cache is off: nobody drains."""
    assert worker.cache.server is not None
    async with asyncio.timeout(30):
        while (await worker.cache.server.mget([worker.cache.fence_name])).value != [None]:
            await asyncio.sleep(0.05)
