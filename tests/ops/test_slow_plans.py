"""Plans of slow statements: recorded beside the requests, rarely, without values, under PostgreSQL's own id of them."""

import asyncio

import pytest

from db.connection import Query
from db.database import Database
from db.explain import NoPlan, estimate_of, plan_of, without_values
from db.explainer import Explainer
from db.slow_plans import LONGEST_CHARACTERS, MOST_KEPT, SlowPlan, forget_all, keep, slow_plans
from db.statement_log import Sent, watching_statements
from db.where import statement
from telemetry import requests
from telemetry.requests import current_loader, current_operation
from tests.kit.rig import Rig

PLANTED = statement(
    "planted", "SELECT id FROM employee WHERE lower(full_name) = CAST(:name AS text) AND id < CAST(:most AS bigint)"
)


async def sent(database: Database, query: Query, loader: str = "planted_loader", **values: object) -> Sent:
    """A statement that was sent for an operation and a lookup."""
    tokens = current_operation.set("query Planted"), current_loader.set(loader)
    with watching_statements() as found:
        async with database.read() as connection:
            await connection.records(query, **values)
    current_operation.reset(tokens[0])
    current_loader.reset(tokens[1])
    return found[0]


async def plans(database: Database) -> list[SlowPlan]:
    async with database.read() as connection:
        return await slow_plans(connection)


async def test_the_plan_of_a_lookup_says_what_really_happened_and_holds_no_values(empty_rig: Rig) -> None:
    database = empty_rig.database
    await Explainer(database).explain(await sent(database, PLANTED, name="mia keller", most=4711))
    [plan] = await plans(database)
    assert (plan.statement, plan.operation, plan.loader, plan.analyzed) == (
        "planted",
        "query Planted",
        "planted_loader",
        True,
    )
    assert plan.tree["Plan"]["Actual Rows"] == 0
    assert "mia keller" not in plan.plan and "4711" not in plan.plan
    async with database.read() as connection:
        look = "SELECT queryid::text FROM pg_stat_statements WHERE query LIKE '%''planted''%' AND dbid ="
        own = " (SELECT oid FROM pg_database WHERE datname = current_database())"
        assert [plan.queryid] in [list(row) for row in await connection.records(statement("look", look + own))]


async def test_what_no_lookup_sent_is_not_executed_again(empty_rig: Rig) -> None:
    database = empty_rig.database
    lock = statement("lock", "SELECT pg_try_advisory_lock(424242)")
    await Explainer(database).explain(await sent(database, lock, loader=""))
    [plan] = await plans(database)
    assert (plan.statement, plan.analyzed, "Actual Rows" in plan.tree["Plan"]) == ("lock", False, False)


async def test_what_takes_too_long_again_is_only_planned(empty_rig: Rig) -> None:
    database = empty_rig.database
    asleep = await sent(database, statement("asleep", "SELECT pg_sleep(CAST(:s AS float8))"), s=0.0)
    await Explainer(database).explain(asleep._replace(arguments=[60.0], seconds=-0.9))  # so the limit is -0.8 s: 1 ms
    [plan] = await plans(database)
    assert (plan.statement, plan.analyzed) == ("asleep", False)


async def test_one_waits_at_a_time_and_each_once_a_minute() -> None:
    now_s = 0.0
    explainer = Explainer(Database("postgresql+asyncpg://nobody@127.0.0.1:1/none"), lambda: now_s)
    first = Sent("first", "SELECT 1", (), 1.0, False, "", "")
    explainer.consider(first)
    explainer.consider(first._replace(name="second", sql="SELECT 2"))
    explainer.consider(first._replace(name="slow_plan_keep", sql="SELECT 3"))
    assert explainer._waiting.get_nowait().name == "first"
    explainer.consider(first)
    now_s = 59.9
    explainer.consider(first)
    explainer.consider(first._replace(sql="VACUUM"))
    assert explainer._waiting.empty()
    now_s = 60.0
    explainer.consider(first)
    assert explainer._waiting.get_nowait().name == "first"


async def test_a_worker_explains_what_was_slow(fresh_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from web.settings import QuerySettings
    from web.statement_recording import statements_recorded

    monkeypatch.setattr(requests.slow, "threshold_s", 0.0)
    settings = QuerySettings.model_validate({"ENABLE_EXPLAIN_ANALYZE": "true"})
    assert settings.explain
    async with statements_recorded(settings, fresh_rig.database):
        await sent(fresh_rig.database, PLANTED, name="mia keller", most=1)
        async with asyncio.timeout(60):
            while "planted" not in {plan.statement for plan in await plans(fresh_rig.database)}:
                await asyncio.sleep(0.02)


async def test_few_plans_are_kept_and_all_forgotten(empty_rig: Rig) -> None:
    facts = {"operation": "", "loader": "", "ms": 1.0, "analyzed": False}
    async with empty_rig.database.transaction() as connection:
        for number in range(MOST_KEPT + 3):
            await keep(connection, f"SELECT {number}", {"Plan": {}}, statement=f"s{number}", **facts)
        await keep(connection, "SELECT 50", {"Plan": {}}, statement="again", **facts)
        await keep(connection, "SELECT 'long'", {"Plan": "x" * LONGEST_CHARACTERS}, statement="long", **facts)
        found = await slow_plans(connection)
        assert [plan.statement for plan in found[:2]] == ["again", f"s{MOST_KEPT + 2}"]
        assert len(found) == MOST_KEPT
        assert await forget_all(connection) == MOST_KEPT


async def test_a_text_of_pg_stat_statements_is_planned_for_any_values(rig: Rig) -> None:
    async with rig.database.snapshot() as connection:
        plan = await estimate_of(connection, PLANTED.sql)
        assert plan["Plan"]["Filter"] == "((employee.id < $2) AND (lower(employee.full_name) = $1))"
        with pytest.raises(NoPlan, match="only queries and changes of rows"):
            await estimate_of(connection, "VACUUM")
        with pytest.raises(NoPlan, match='relation "nowhere" does not exist'):
            await estimate_of(connection, "SELECT 1 FROM nowhere WHERE id = $1")
        assert (await estimate_of(connection, "SELECT 1"))["Plan"]["Node Type"] == "Result"


async def test_nothing_is_written_by_a_plan(rig: Rig) -> None:
    async with rig.database.snapshot() as connection:
        with pytest.raises(NoPlan, match="read-only transaction"):
            await plan_of(connection, "DELETE FROM employee", (), analyze=True)
        assert (await plan_of(connection, "DELETE FROM employee", (), analyze=False))["Plan"]["Operation"] == "Delete"


def test_values_are_taken_out_of_conditions_only() -> None:
    plan = {
        "Node Type": "Index Scan",
        "Plan Rows": 12,
        "Rows Removed by Filter": 7,
        "Index Cond": "((d1.id = 42) AND (e.email = 'o''neil@example.org'::citext) AND (x = $1))",
        "Sort Key": ["e.id", "(e.n + 1.5)"],
        "Plans": [{"Filter": "(work_date >= '2026-03-01'::date)", "Heap Fetches": 3}],
    }
    assert without_values(plan) == {
        "Node Type": "Index Scan",
        "Plan Rows": 12,
        "Rows Removed by Filter": 7,
        "Index Cond": "((d1.id = ?) AND (e.email = ?::citext) AND (x = $1))",
        "Sort Key": ["e.id", "(e.n + ?)"],
        "Plans": [{"Filter": "(work_date >= ?::date)", "Heap Fetches": 3}],
    }
