"""Lost COMMITs, restored databases, frozen leaders, and writers that know nothing of the cache."""

import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from cache.second_level import SecondLevelCache
from cache.server import SHA
from db.engine import LIVELINESS
from db.where import statement
from domain.errors import Unavailable
from jobs.upkeep import empty_outbox
from loaders import drain
from loaders.unit_of_work import unit_of_work
from telemetry.recording import recording
from tests.coherence.conftest import NewWorker
from tests.coherence.worker import RENAME, Worker
from tests.kit.sequencer import within

RENEW = SHA["renew"].encode()


async def test_a_commit_whose_answer_is_lost_is_seen_by_everyone(worker: Worker, other: Worker) -> None:
    await worker.name()
    other.postgres.lose_answer_to(b"COMMIT")
    with pytest.raises(Unavailable):
        await other.rename("new")
    while (await worker.psql("SELECT full_name FROM employee WHERE id = 1")) != [("new",)]:
        pass
    assert await worker.name() == "new" and not await worker.from_cache(), "its hold stays"
    assert await worker.drain()
    assert await worker.name() == "new" and await worker.from_cache()


async def test_a_commit_that_never_arrived_leaves_the_tag_uncached(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("never"))
    await within(stop.reached.wait())
    other.postgres.cut()
    with pytest.raises(Unavailable):
        await writing
    assert await worker.drain()
    assert await worker.name() == "name 1" and not await worker.from_cache()


async def test_a_writer_frozen_before_commit_loses_its_transaction_before_its_hold(
    worker: Worker, other: Worker
) -> None:
    """PostgreSQL ends a transaction that idles for 5 s between what it touched and COMMIT; a hold lives for 10."""
    async with worker.database.transaction() as connection:
        await connection.execute(RENAME, name="never", id=1)
        await connection.records(statement("pending", "SELECT cache_pending('')"))
        shown = await connection.records(statement("show", "SHOW idle_in_transaction_session_timeout"))
    assert shown == [("5s",)]


async def test_a_cancelled_writer_still_releases(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    writing.cancel()
    stop.go_on()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await worker.name() == "new" and await worker.from_cache()


async def test_one_tick_shows_what_psql_wrote(worker: Worker) -> None:
    await worker.name()
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    assert await worker.name() == "name 1", "until the tick"
    assert await worker.drain()
    assert await worker.name() == "new"


async def test_the_session_of_an_outsider_changes_no_tag(worker: Worker) -> None:
    """Another date style, another search path, another time zone."""
    await worker.drain()
    async with worker.database.transaction() as outsider:
        settings = "SELECT set_config('datestyle', 'German', true), set_config('timezone', 'Asia/Tokyo', true)"
        await outsider.records(statement("settings", settings))
        await outsider.records(statement("path", "SELECT set_config('search_path', 'pg_catalog', true)"))
        await outsider.execute(
            statement(
                "day",
                "INSERT INTO public.attendance_day (employee_id, work_date, department_id, location_id, time_zone,"
                " day_type, status, off_halves) VALUES (1, '2026-03-17', 1, 1, 'UTC', 'WEEKLY_OFF', 'WEEKLY_OFF', 2)",
            )
        )
    [(tags,)] = await worker.psql("SELECT tags FROM cache_outbox")
    assert tags == [
        "attendance_day.department_id=1&work_date=2026-03-17",
        "attendance_day.employee_id=1&month=2026-03",
        "attendance_day.month=2026-03",
        "attendance_day.work_date=2026-03-17",
    ]


async def test_a_write_to_a_partition_by_its_own_name_is_noticed(worker: Worker) -> None:
    await worker.psql("SELECT make_partitions(DATE '2031-05-01', DATE '2031-05-01')")
    columns = "employee_id, work_date, department_id, location_id, time_zone, day_type, status, off_halves"
    values = "(1, DATE '2031-05-03', 1, 1, 'UTC', 'WEEKLY_OFF', 'WEEKLY_OFF', 2)"
    for table in ("attendance_day", "attendance_day_203105"):
        await worker.drain()
        tags = await worker.write(f"INSERT INTO {table} ({columns}) VALUES {values}")
        assert "attendance_day.employee_id=1&month=2031-05" in tags
        tags = await worker.write("DELETE FROM attendance_day_203105")
        assert "attendance_day.employee_id=1&month=2031-05" in tags
    assert await worker.write("TRUNCATE attendance_day_203105") == ["attendance_day"]


async def test_triggers_fire_in_sessions_that_replicate_as_well(worker: Worker) -> None:
    """`session_replication_role = replica`, as some restores and imports set it, fires only what is to fire always."""
    await worker.psql("SELECT make_partitions(DATE '2031-05-01', DATE '2031-05-01')")
    found = await worker.psql("SELECT tgenabled, count(*) > 100 FROM pg_trigger WHERE tgname LIKE 'cache_%' GROUP BY 1")
    assert found == [(b"A", True)]


async def test_truncate_and_more_than_500_tags_touch_the_whole_table(worker: Worker, other: Worker) -> None:
    columns = "employee_no, full_name, department_id, location_id, hired_on"
    assert await worker.name(300) is None and await worker.from_cache(300)
    many = f"INSERT INTO employee ({columns}) SELECT 'X' || n, 'x', 1, 1, '2026-01-01' FROM generate_series(1, 501) n"
    assert await other.write(many) == ["employee"]
    assert await worker.name(300) == "x" and await worker.from_cache(300)
    await other.psql("TRUNCATE employee CASCADE")
    assert await worker.drain()
    assert await worker.name(300) is None


async def test_many_statements_of_one_transaction_touch_the_whole_table(worker: Worker) -> None:
    """No trigger sees more than one row, but a hold of more than 500 tags would be as slow as it is long."""
    columns = "employee_no, full_name, department_id, location_id, hired_on"
    assert await worker.name(521) is None and await worker.from_cache(521)
    async with unit_of_work(worker.database, worker.cache) as unit:
        for number in range(501):
            values = f"'Y{number}', 'y', 1, 1, '2026-01-01'"
            await unit.connection.execute(statement("one", f"INSERT INTO employee ({columns}) VALUES ({values})"))
    assert unit.tags == ["employee"]
    assert await worker.name(521) == "y"


async def test_an_outbox_of_any_size_is_drained_at_once(worker: Worker) -> None:
    """Whole tables stand for too many tags, or a long import would keep the cache off."""
    await worker.name()
    await worker.psql(
        "INSERT INTO cache_outbox (tags) SELECT array_agg('employee.id=' || n) FROM generate_series(1, 6000) n"
    )
    with recording() as made:
        assert await worker.drain()
    assert made.sql.count("cache_drain") == 1 and not await worker.from_cache()
    assert await worker.psql("SELECT count(*) FROM cache_outbox") == [(0,)]


async def test_one_drain_leads_and_another_stands_back(worker: Worker, other: Worker) -> None:
    stop = other.redis.stop_before(RENEW)
    leading = asyncio.create_task(other.drain())
    await within(stop.reached.wait())
    assert not await worker.drain()
    stop.go_on()
    assert await leading and await worker.drain()


async def test_a_frozen_leader_loses_the_lead_and_its_late_renewal_does_nothing(worker: Worker, other: Worker) -> None:
    await worker.name()
    stop = other.redis.stop_before(RENEW)
    leading = asyncio.create_task(other.drain())
    await within(stop.reached.wait())
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    while not await worker.drain():  # PostgreSQL ends the frozen leader's transaction after 2.5 s
        assert not leading.done()
    assert not leading.done(), "it ended by itself"
    assert await worker.name() == "new" and await worker.from_cache()
    assert worker.cache.server is not None
    before = (await worker.cache.server.mget(["test:f"])).value
    stop.go_on()
    with pytest.raises(Unavailable):
        await leading
    assert (await worker.cache.server.mget(["test:f"])).value == before
    assert await worker.from_cache()


async def test_a_restored_postgresql_begins_an_epoch_that_never_was(worker: Worker) -> None:
    await worker.name()
    [(epoch, run_id)] = await worker.psql("SELECT epoch, run_id FROM cache_state")
    await worker.psql("UPDATE cache_state SET server = 'before the restore'")
    assert await worker.drain()
    [(next_epoch,)] = await worker.psql("SELECT epoch FROM cache_state")
    assert not await worker.from_cache(), "what was stored before is unreadable"
    await worker.psql("UPDATE cache_state SET epoch = :epoch, server = 'another restore'", epoch=epoch)
    assert await worker.drain()
    [(last_epoch, last_run_id)] = await worker.psql("SELECT epoch, run_id FROM cache_state")
    assert len({epoch, next_epoch, last_epoch}) == 3 and last_run_id == run_id
    assert not await worker.from_cache()


async def test_a_number_of_a_transaction_that_is_given_out_again_is_not_taken_for_the_first(worker: Worker) -> None:
    """After a restore: the stamp looks as if the transaction had released it, but another one had."""
    await worker.rename("new")
    await worker.name()
    [(xid,)] = await worker.psql("SELECT max(xid::text::bigint)::text FROM cache_outbox")
    assert await worker.drain() and await worker.from_cache(), "what was released is not restamped"
    await worker.psql("UPDATE cache_state SET server = 'before the restore'")
    assert await worker.drain() and not await worker.from_cache() and await worker.from_cache()
    again = "INSERT INTO cache_outbox (xid, tags) VALUES (CAST(CAST(:xid AS text) AS xid8), ARRAY['employee.id=1'])"
    await worker.psql(again, xid=xid)
    assert await worker.drain() and not await worker.from_cache()


async def test_another_database_of_the_same_server_is_another_postgresql(worker: Worker) -> None:
    [(server, oid)] = await worker.psql(
        "SELECT cache_server(), (SELECT oid::text FROM pg_database WHERE datname = current_database())"
    )
    assert server.split(".")[-2] == oid


async def test_a_writer_with_its_cache_off_is_seen_by_those_with_theirs_on(worker: Worker, other: Worker) -> None:
    await worker.name()
    async with unit_of_work(other.database, SecondLevelCache(None)) as unit:
        await unit.connection.execute(RENAME, name="new", id=1)
    assert await worker.name() == "new"


async def test_where_nobody_caches_nobody_waits(new_worker: NewWorker) -> None:
    worker = await new_worker()
    with recording() as made:
        async with unit_of_work(worker.database, SecondLevelCache(None)) as unit:
            await unit.connection.execute(RENAME, name="new", id=1)
    assert made.sql == ["rename", "cache_pending", "position"]


async def test_where_nobody_caches_the_outbox_does_not_grow(new_worker: NewWorker) -> None:
    worker = await new_worker()
    await worker.rename("one"), await worker.psql("UPDATE employee SET full_name = 'two' WHERE id = 2")
    assert await worker.psql("SELECT count(*) > 2 FROM cache_outbox") == [(True,)]  # filling wrote as well
    await empty_outbox(worker.database)
    assert await worker.psql("SELECT count(*) FROM cache_outbox") == [(0,)]
    assert await worker.drain() and await worker.name() == "one"
    await worker.psql("UPDATE employee SET full_name = 'three' WHERE id = 1")
    await empty_outbox(worker.database)
    assert await worker.psql("SELECT count(*) FROM cache_outbox") == [(1,)]
    assert await worker.drain() and await worker.name() == "three"


async def test_who_begins_to_cache_waits_for_writers_that_were_told_that_nobody_does(new_worker: NewWorker) -> None:
    worker, other = await new_worker(), await new_worker()
    stop = other.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(other.rename("new"))
    await within(stop.reached.wait())
    with pytest.raises(Unavailable, match="another change was in the way"):
        await worker.drain()
    stop.go_on()
    await writing
    assert await worker.drain() and await worker.name() == "new"


async def test_writes_need_read_committed(worker: Worker) -> None:
    with pytest.raises(asyncpg.RaiseError, match=r"READ COMMITTED, this one is REPEATABLE READ"):
        await _write_in_a_snapshot(worker)


async def _write_in_a_snapshot(worker: Worker) -> None:
    async with unit_of_work(worker.database, worker.cache) as unit:
        await unit.connection.script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await unit.connection.execute(RENAME, name="new", id=1)


async def test_no_constraint_and_no_trigger_is_deferred(worker: Worker) -> None:
    """One that fires at COMMIT would touch tags after they were asked for."""
    found = await worker.psql(
        "SELECT (SELECT count(*) FROM pg_constraint WHERE condeferrable),"
        " (SELECT count(*) FROM pg_trigger WHERE tgdeferrable)"
    )
    assert found == [(0, 0)]


async def test_what_another_declaration_of_tags_fenced_is_not_used(worker: Worker) -> None:
    """A newer version has replaced the triggers: they no longer touch what this one depends on."""
    await worker.name()
    await worker.psql("UPDATE cache_state SET declaration = 'newer'")
    assert await worker.drain()
    assert not await worker.from_cache() and not await worker.from_cache()


async def test_a_new_declaration_sends_writers_to_the_suspension_until_the_fence_has_moved(worker: Worker) -> None:
    await worker.psql("UPDATE cache_state SET declaration = 'newer', run_id = ''")  # as db.migrate does
    with recording() as made:
        await worker.rename("new")
    assert "cache_suspend" in made.sql


async def test_what_somebody_else_wrote_is_looked_for_between_two_ticks(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 50 ms; our own writers have restamped what they touched, so what they leave waits for the tick."""
    monkeypatch.setattr(drain, "TICK", timedelta(hours=1))
    with recording() as made:
        draining = asyncio.create_task(drain.drain_for_ever(worker.database, worker.cache))
    glances = made.sql
    try:
        await _until(lambda: glances.count("cache_outside") >= 1)
        await worker.rename("ours")
        seen = glances.count("cache_outside")
        await _until(lambda: glances.count("cache_outside") >= seen + 2)
        assert glances.count("cache_drain") == 1 and await worker.psql("SELECT count(*) FROM cache_outbox") == [(1,)]
        async with worker.database.transaction() as connection:
            await connection.records(statement("psql", "SELECT set_config('application_name', 'psql', true)"))
            await connection.execute(RENAME, name="theirs", id=1)
        await _until(lambda: glances.count("cache_drain") >= 2)
        assert await worker.name() == "theirs"
        await _until(lambda: glances.count("cache_outside") >= seen + 6)
        assert glances.count("cache_drain") == 2
    finally:
        draining.cancel()
        await asyncio.wait({draining})


async def test_closing_the_database_also_closes_what_is_lent_out_and_lent_later(worker: Worker) -> None:
    """Each is closed when it comes back: a lookup that nobody waits for any more may end after the service has."""
    async with worker.database.read() as early, worker.database.aside() as aside:
        await worker.database.close()
        lent: list[Any] = [early.session, aside.session]
        assert [session.is_closed() for session in lent] == [False, False]
    async with worker.database.read() as late:
        lent.append(late.session)
        assert await late.records(statement("alive", "SELECT 1")) == [(1,)]
    assert [session.is_closed() for session in lent] == [True] * 3


async def test_a_database_that_is_gone_without_a_word_is_noticed(worker: Worker) -> None:
    """Else what waits for its answer, the drain among them, would wait for ever: the driver sets no limit."""
    async with worker.database.read() as connection:
        wire = connection._driver._transport.get_extra_info("socket")  # type: ignore[attr-defined]
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        found = {name: wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in LIVELINESS}
    assert found == LIVELINESS


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.001)
