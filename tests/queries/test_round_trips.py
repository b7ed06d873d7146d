"""What a nested query costs: statements and round trips by level, never by row."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from db.database import Database
from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId
from domain.permission import Grant
from tests.kit.clock import Clock
from tests.kit.crowd import fill_crowd
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.kit.round_trips import round_trips
from tests.kit.rows import Rows
from tests.kit.viewers import as_viewer
from tests.responses.service import Service, open_service

ROOT = DepartmentId(1)
NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
NESTED = """
query Nested($first: Int) { employees(first: $first) { nodes {
  fullName department { name } location { name } manager { fullName }
  attendance(period: { range: { from: "2026-03-07", to: "2026-03-16" } }) { workDate status shift { code } }
} } }"""
WIDE = """
query Wide($first: Int) {
  attendance(first: $first, filter: { period: { range: { from: "2026-03-10", to: "2026-03-16" } } }) {
    totalCount totals { presentDays }
    nodes { workDate employee { fullName } department { name manager { fullName } } location { name } shift { code } }
  }
}"""


async def _fill(url: str) -> None:
    await fill_crowd(url, 80, 12)
    database = Database(url)
    async with database.transaction() as connection:
        rows = Rows(connection)
        for role in (Role.HR, Role.AUDITOR, Role.ANALYST):
            await rows.user(f"{role.lower()}@rollcall.test", None, role)
        await rows.user("hr_of_all_departments@rollcall.test", None, Grant(Role.HR, ROOT))
        await rows.user("manager@rollcall.test", EmployeeId(1), Role.MANAGER)
        await rows.lead(ROOT, EmployeeId(1))
        await rows.user("employee@rollcall.test", EmployeeId(50), Role.EMPLOYEE)
    await database.close()


@pytest.fixture(scope="module")
def crowd_url(databases: Databases) -> Iterator[str]:
    url = databases.new("crowd_80_and_viewers", _fill)
    yield url
    databases.drop(url)


@pytest.fixture
async def crowd(databases: Databases, crowd_url: str) -> AsyncIterator[Rig]:
    async with open_rig(crowd_url, databases.redis_url, NOW) as found:
        yield found


async def test_fifty_employees_with_their_latest_ten_days(crowd: Rig) -> None:
    hr = as_viewer(Role.HR)
    with round_trips(sql=5, redis=3):
        cold = await crowd.execute(NESTED, {"first": 50}, hr)
    assert sorted(cold.sql) == ["days_of_employee", "employee_by_id", "employees", "organisation", "shift_by_id"]
    people = cold.data["employees"]["nodes"]
    assert len(people) == 50
    assert {len(person["attendance"]) for person in people} == {10}
    assert [day["workDate"] for day in people[0]["attendance"]] == [f"2026-03-{day:02}" for day in range(16, 6, -1)]
    assert sorted(cold.batches) == [
        ("days_of_employee", 50, 0),
        ("department", 20, 0),
        ("employee", 10, 0),
        ("employees", 1, 0),
        ("location", 5, 0),
        ("shift", 3, 0),
    ]
    with round_trips(sql=0, redis=3):
        warm = await crowd.execute(NESTED, {"first": 50}, hr)
    assert warm.data == cold.data
    assert all(keys == hits for _, keys, hits in warm.batches)


async def test_more_rows_cost_no_more_statements(crowd: Rig) -> None:
    hr = as_viewer(Role.HR)
    for first in (1, 10, 80):
        await crowd.cold()
        with round_trips(sql=5, redis=3):
            await crowd.execute(NESTED, {"first": first}, hr)


async def test_only_what_is_missing_is_loaded(crowd: Rig) -> None:
    hr = as_viewer(Role.HR)
    await crowd.execute(NESTED, {"first": 20}, hr)
    answer = await crowd.execute(NESTED, {"first": 50}, hr)
    assert ("days_of_employee", 50, 20) in answer.batches
    assert sorted(answer.batches) == [
        ("days_of_employee", 50, 20),
        ("department", 20, 17),
        ("employee", 10, 10),
        ("employees", 1, 0),
        ("location", 5, 5),
        ("shift", 3, 3),
    ]
    assert sorted(answer.sql) == ["days_of_employee", "department_by_id", "employees"]


async def test_a_list_of_days_with_everything_around(crowd: Rig) -> None:
    hr = as_viewer(Role.HR)
    with round_trips(sql=5, redis=3):  # the list; its count and totals; what belongs to its days
        cold = await crowd.execute(WIDE, {"first": 200}, hr)
    assert len(cold.data["attendance"]["nodes"]) == 200
    with round_trips(sql=0, redis=3):
        assert (await crowd.execute(WIDE, {"first": 200}, hr)).data == cold.data


async def test_without_a_cache_it_is_the_same(crowd: Rig) -> None:
    hr = as_viewer(Role.HR)
    cached = await crowd.execute(NESTED, {"first": 50}, hr)
    await crowd.uncached()
    with round_trips(sql=5, redis=0):
        assert (await crowd.execute(NESTED, {"first": 50}, hr)).data == cached.data


@pytest.mark.parametrize("kept_bytes", [0, 32_000_000], ids=["rows", "answers"])
async def test_over_http_the_viewer_is_one_statement_more_and_one_level_more(
    databases: Databases, crowd_url: str, kept_bytes: int
) -> None:
    async with open_service(crowd_url, databases.redis_url, Clock(NOW), response_bytes=kept_bytes) as service:
        await _token(service)
        with round_trips(sql=6, redis=4) as made:
            cold = await service.ask(NESTED, "hr@rollcall.test", {"first": 50})
        assert sorted(made.sql) == [
            "days_of_employee", "employee_by_id", "employees", "organisation", "shift_by_id", "viewer_by_user",
        ]  # fmt: skip
        await service.settle()
        with round_trips(sql=0, redis=1 if kept_bytes else 4):
            warm = await service.ask(NESTED, "hr@rollcall.test", {"first": 50})
    assert warm.json == cold.json and len(warm.json["data"]["employees"]["nodes"]) == 50
    assert {len(person["attendance"]) for person in warm.json["data"]["employees"]["nodes"]} == {10}


@pytest.mark.parametrize(
    ("user", "people"),
    [("auditor", 50), ("manager", 50), ("hr_of_all_departments", 50), ("analyst", 50), ("employee", 1)],
)
async def test_the_rights_of_whoever_asks_are_one_statement(
    databases: Databases, crowd_url: str, user: str, people: int
) -> None:
    async with open_service(crowd_url, databases.redis_url, Clock(NOW), response_bytes=0) as service:
        await service.token(f"{user}@rollcall.test")
        with round_trips(sql=6, redis=4):
            cold = await service.ask(NESTED, f"{user}@rollcall.test", {"first": 50})
        await service.settle()
        with round_trips(sql=0, redis=4):
            warm = await service.ask(NESTED, f"{user}@rollcall.test", {"first": 50})
    assert warm.json == cold.json and len(warm.json["data"]["employees"]["nodes"]) == people


async def _token(service: Service) -> None:
    """Find the user without the cache."""
    await service.token("hr@rollcall.test")


async def test_a_page_with_a_group_on_it_spares_an_analyst_the_count(crowd: Rig) -> None:
    analyst, query = as_viewer(Role.ANALYST), "query($first: Int) { employees(first: $first) { nodes { id } } }"
    for first, statements in ((5, ["employees"]), (4, ["employees", "employee_count"])):
        await crowd.cold()
        answer = await crowd.execute(query, {"first": first}, analyst)
        assert (len(answer.data["employees"]["nodes"]), answer.sql) == (first, statements)
