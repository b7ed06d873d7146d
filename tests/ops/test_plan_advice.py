"""Advice: made by real plans of PostgreSQL over tables that lack what is advised, and by none that have it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from db.database import Database
from db.explain import estimate_of, plan_of
from db.inspection import table_sizes
from db.plan_advice import Advice, advice_on, index_columns, tables_of
from ops.plan_text import outline
from tests.kit.databases import Databases

TABLES = """
CREATE TABLE big (id int PRIMARY KEY, place int, name text, pair int) WITH (autovacuum_enabled = off);
INSERT INTO big SELECT n, n % 500, 'name ' || n, n % 500 FROM generate_series(1, 50000) n;
CREATE INDEX big_place ON big (place);
CREATE TABLE small (id int, name text);
INSERT INTO small SELECT n, 'name ' || n FROM generate_series(1, 500) n;
ANALYZE big, small;
CREATE TABLE unknown (id int, kind int) WITH (autovacuum_enabled = off);
CREATE INDEX unknown_kind ON unknown (kind);
ANALYZE unknown;
INSERT INTO unknown SELECT n, 1 FROM generate_series(1, 30000) n;
"""


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    found = databases.new()

    async def fill() -> None:
        server = make_url(found)
        host, user = str(server.query["host"]), server.username
        connection = await asyncpg.connect(host=host, port=5432, user=user, database=server.database)
        await connection.execute(TABLES)
        await connection.close()

    asyncio.run(fill())
    yield found
    databases.drop(found)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    found = Database(url)
    yield found
    await found.close()


async def advised(database: Database, sql: str, *values: Any, settings: str = "") -> list[Advice]:
    """The advice on a statement that is executed."""
    async with database.snapshot() as connection:
        if settings:
            await connection.session.execute(settings)  # type: ignore[attr-defined]
        plan = await plan_of(connection, sql, values, analyze=True)
        return advice_on(plan, await table_sizes(connection, sorted(tables_of(plan))))


async def test_a_sequential_scan_of_a_big_table_for_few_rows(database: Database) -> None:
    sql = "SELECT * FROM big b WHERE b.id > $2 AND lower(b.name) = $1"
    assert await advised(database, sql, "name 7", 0, settings="SET LOCAL enable_indexscan = off") == [
        Advice(
            "sequential scan",
            "big is read from end to end: 50,000 rows for the 1 that fit",
            "CREATE INDEX ON big (lower(name), id)",
        )
    ]


async def test_none_of_a_small_table_or_for_many_rows(database: Database) -> None:
    assert await advised(database, "SELECT * FROM small WHERE name = $1", "name 7") == []
    assert await advised(database, "SELECT count(*) FROM big WHERE length(name) > $1", 3) == []
    assert await advised(database, "SELECT * FROM big WHERE id = $1", 3) == []


async def test_a_plan_that_was_not_executed_is_judged_by_the_size_of_its_table(database: Database) -> None:
    async with database.snapshot() as connection:
        plan = await estimate_of(connection, "SELECT * FROM big WHERE name = $1")
        sizes = await table_sizes(connection, sorted(tables_of(plan)))
    assert sizes == {"big": 50_000.0}
    assert advice_on(plan, sizes) == [
        Advice(
            "sequential scan",
            "big is read from end to end: 50,000 rows for the 1 that fit",
            "CREATE INDEX ON big (name)",
        )
    ]
    assert advice_on(plan, {}) == []


async def test_rows_that_an_index_finds_in_vain(database: Database) -> None:
    sql = "SELECT * FROM big WHERE place BETWEEN 0 AND 49 AND name = $1"
    [advice] = await advised(database, sql, "name 7", settings="SET LOCAL enable_seqscan = off")
    assert (advice.kind, advice.remedy) == ("rows removed by filter", "extend big_place by name")
    assert advice.finding.startswith("of 5,000 rows of big that ") and advice.finding.endswith(" finds, 1 fit")


async def test_a_sort_and_a_hash_that_go_to_disk(database: Database) -> None:
    few = "SET LOCAL work_mem = '64kB'; SET LOCAL hash_mem_multiplier = 1"
    [sort] = await advised(database, "SELECT name FROM big ORDER BY name", settings=few)
    assert (sort.kind, sort.remedy) == ("sort on disk", "raise work_mem above that, or have an index in this order")
    assert sort.finding.endswith(" kB went to disk (big.name)")
    grouping = "SELECT name, count(*) FROM big GROUP BY name"
    assert "hash on disk" in {
        one.kind for one in await advised(database, grouping, settings=f"{few}; SET LOCAL enable_sort = off")
    }
    joined = "SELECT count(*) FROM big a JOIN big b ON a.name = b.name"
    assert "hash on disk" in {
        one.kind for one in await advised(database, joined, settings=f"{few}; SET LOCAL enable_mergejoin = off")
    }


async def test_an_estimate_that_is_far_off_is_told_of_once(database: Database) -> None:
    [one] = await advised(database, "SELECT * FROM big WHERE place < 25 AND pair < 25 ORDER BY name")
    assert one.remedy == "ANALYZE big; if that does not help, CREATE STATISTICS ON place, pair FROM big"
    assert one.finding.endswith(" rows were expected, 2,500 came")
    off = await advised(database, "SELECT * FROM unknown WHERE kind = $1", 1, settings="SET LOCAL enable_seqscan = off")
    assert [(one.kind, one.remedy) for one in off] == [("misestimate", "ANALYZE unknown")]


async def test_a_limit_that_stops_early_is_no_mistake(database: Database) -> None:
    assert await advised(database, "SELECT * FROM big WHERE place >= 0 LIMIT 1") == []


async def test_compiling_that_takes_longer_than_it_saves() -> None:
    plan = {"Plan": {"Node Type": "Result"}, "JIT": {"Timing": {"Total": 40.0}}, "Execution Time": 100.0}
    assert [one.remedy for one in advice_on(plan, {})] == ["set jit = off, or raise jit_above_cost"]
    assert advice_on({**plan, "Execution Time": 200.0}, {}) == []


def test_columns_of_conditions() -> None:
    condition = (
        "((d.work_date >= '2026-03-01'::date) AND (d.employee_id = $1) AND (lower(d.name) = 'd.x') AND (e.y = 1))"
    )
    assert index_columns(condition, "d") == ["employee_id", "lower(name)", "work_date"]
    assert index_columns("(NOT d.locked)", "d") == ["locked"]


async def test_an_outline_shows_what_was_expected_and_what_came(database: Database) -> None:
    async with database.snapshot() as connection:
        plan = await plan_of(connection, "SELECT * FROM small WHERE name = $1", ("name 7",), analyze=True)
        estimate = await estimate_of(connection, "SELECT * FROM small WHERE name = $1")
    first, condition, removed, times = outline(plan)
    assert first.startswith("Seq Scan on small  (expected 1 rows, 1 came, ") and first.endswith(" ms)")
    assert (condition, removed) == (
        "    Filter: (small.name = 'name 7'::text)",
        "    499 rows removed by filter",
    )
    assert times.startswith("planning time ") and "execution time" in times
    assert outline(estimate) == ["Seq Scan on small  (expected 1 rows, cost 9)", "    Filter: (small.name = $1)"]
