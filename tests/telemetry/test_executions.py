"""What operations send, pauses of the collector and waits for the pool: exact, through the real layers."""

import asyncio
import gc

import pytest
from sqlalchemy import text

from db.connection import Query
from db.database import Database, PoolLimits
from telemetry import executions, garbage, waits
from telemetry.executions import MANY, MOST_OPERATIONS, executing, note_sent
from telemetry.garbage import watch_collections
from telemetry.timings import OTHERS, Timings
from tests.kit.rig import Rig

ONE = Query("one", text("SELECT 1"))


@pytest.fixture(autouse=True)
def own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "executions", {})
    monkeypatch.setattr(garbage, "collections", Timings(3))
    monkeypatch.setattr(waits, "waits", Timings(4))


async def test_statements_are_counted_for_the_operation_that_sent_them(rig: Rig) -> None:
    async with rig.database.read() as connection:
        await connection.records(ONE)
        with executing("query A"):
            await asyncio.gather(*(connection.records(ONE) for _ in range(3)))
    sums = executions.executions["query A"].sums()
    assert (sums["count"], sums["statements"], sums["repeated"], sums["times"]) == (1, 3, {}, {})
    assert 0 < float(str(sums["sql_seconds"])) <= 3 * float(str(sums["seconds"]))


def test_what_is_sent_once_for_each_row_is_told_from_what_is_sent_by_many_requests() -> None:
    for number in (MANY - 1, MANY, MANY + 2):
        with executing("query A"):
            for _ in range(number):
                note_sent("one", 0.001)
    sums = executions.executions["query A"].sums()
    assert (sums["count"], sums["statements"]) == (3, 3 * MANY + 1)
    assert (sums["repeated"], sums["times"]) == ({"one": 2}, {"one": 2 * MANY + 2})


def test_names_that_clients_choose_do_not_fill_the_memory() -> None:
    for number in range(MOST_OPERATIONS + 5):
        with executing(f"query {number}"):
            pass
    assert len(executions.executions) == MOST_OPERATIONS + 1
    assert executions.executions[OTHERS].count == 5


def test_collections_are_timed_by_generation() -> None:
    watch_collections()
    try:
        gc.collect(1)
        gc.collect()
        gc.collect()
    finally:
        gc.callbacks.pop()
    found = garbage.collections.by_name
    assert (found["generation 1"].count, found["generation 2"].count) == (1, 2)
    assert found["generation 2"].seconds > 0


async def test_who_waits_for_a_connection_of_the_pool_is_counted(rig: Rig) -> None:
    database = Database(rig.database.url, PoolLimits(size=1))
    try:
        async with database.read() as connection:
            assert waits.waits.by_name == {}
            waiting = asyncio.create_task(_read(database))
            while not database_waits(database):
                await asyncio.sleep(0)
            await connection.records(Query("sleep", text("SELECT pg_sleep(0.05)")))
        await waiting
    finally:
        await database.close()
    found = waits.waits.by_name["db_pool"]
    assert found.count == 1
    assert found.seconds >= 0.05
    assert executions.executions["query A"].waited_seconds == found.seconds


async def _read(database: Database) -> None:
    with executing("query A"):
        async with database.read() as connection:
            await connection.records(ONE)


def database_waits(database: Database) -> bool:
    """Whether somebody waits for the only connection."""
    pool = database._engine.sync_engine.pool
    return bool(pool._pool._queue._getters)  # type: ignore[attr-defined]
