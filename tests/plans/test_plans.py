"""Every lookup and list finds its rows by an index: no big table is read from end to end, and partitions are pruned."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId, encode_id
from domain.permission import Grant, Viewer
from tests.kit.crowd import fill_crowd
from tests.kit.databases import Databases
from tests.kit.plans import Plan, explained
from tests.kit.rig import Rig, open_rig
from tests.kit.viewers import as_viewer

NOW = datetime(2026, 3, 16, 12, tzinfo=UTC)
BIG = ("employee", "employee_posting", "attendance_day_202603", "punch_202603")  # all days of the crowd are of March
ONE_DAY = 'period: { range: { from: "2026-03-16", to: "2026-03-16" } }'
WEEK = 'period: { range: { from: "2026-03-14", to: "2026-03-16" } }'
PERSON = encode_id("Employee", 77)
HR = as_viewer(Role.HR)
MANAGER = as_viewer(Role.MANAGER, employee=EmployeeId(3))
OF_A_DEPARTMENT = as_viewer(Grant(Role.HR, department_id=DepartmentId(2)))
LOOKUPS = {
    "an employee": "{ employee(id: PERSON) { fullName manager { fullName } presence { state } } }",
    "an employee by number": '{ employee(employeeNo: "c77") { fullName } }',
    "employees by name": "{ employees(first: 50) { nodes { fullName } } }",
    "employees by number": "{ employees(first: 50, orderBy: [{ field: EMPLOYEE_NO }]) { nodes { fullName } } }",
    "employees by hiring": "{ employees(first: 50, orderBy: [{ field: HIRED_ON }]) { nodes { fullName } } }",
    "a search": '{ employees(first: 50, filter: { search: "person1234" }) { totalCount nodes { fullName } } }',
    "employees of a manager": "{ employee(id: PERSON) { reports { totalCount nodes { fullName } } } }",
    "employees of a department": "{ employees(filter: { scope: { departmentIds: [DEPARTMENT] } }) { nodes { id } } }",
    "employees with their days": "{ employees(first: 50) { nodes { attendance(WEEK) { status shift { code } } } } }",
    "days of a date": "{ attendance(first: 50, filter: { DAY }) { nodes { id employee { fullName } } } }",
    "days of a person": "{ attendance(filter: { WEEK, scope: { employeeIds: [PERSON] } }) { nodes { id } } }",
    "days of a department": "{ attendance(filter: { DAY, scope: { departmentIds: [DEPARTMENT] } }) { nodes { id } } }",
    "a day and why": '{ attendanceDay(employeeId: PERSON, date: "2026-03-16") { punches { id } explain { step } } }',
    "a punch": "{ node(id: PUNCH) { id } }",
    "a schedule": "{ employee(id: PERSON) { schedule(WEEK) { date } } }",
}


async def _fill(url: str) -> None:
    await fill_crowd(url, 8_000, 3)


@pytest.fixture(scope="module")
def crowd_url(databases: Databases) -> Iterator[str]:
    url = databases.new("crowd_8000", _fill)
    yield url
    databases.drop(url)


@pytest.fixture
async def crowd(databases: Databases, crowd_url: str) -> AsyncIterator[Rig]:
    async with open_rig(crowd_url, databases.redis_url, NOW) as found:
        yield found


async def plans_of(crowd: Rig, query: str, viewer: Viewer, patch: pytest.MonkeyPatch) -> list[Plan]:
    names = {"PERSON": PERSON, "DEPARTMENT": encode_id("Department", 5), "PUNCH": encode_id("Punch", 4_321)}
    for name, key in names.items():
        query = query.replace(name, f'"{key}"')
    query = query.replace("WEEK", WEEK).replace("DAY", ONE_DAY) if "attendanceDay" not in query else query
    often = dict.fromkeys(("facts_company", "facts_employee", "punches_around", "employee_by_id"), 2)
    with explained(patch) as found:
        answer = await crowd.execute(query, viewer=viewer, repeats=often)
    assert not answer.errors, answer.errors
    return found


@pytest.mark.parametrize("what", LOOKUPS)
async def test_no_big_table_is_read_whole(crowd: Rig, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = await plans_of(crowd, LOOKUPS[what], HR, monkeypatch)
    assert plans
    assert {plan.name: plan.scanned_whole(BIG) for plan in plans if plan.scanned_whole(BIG)} == {}


@pytest.mark.parametrize("viewer", [MANAGER, OF_A_DEPARTMENT], ids=["manager", "of a department"])
@pytest.mark.parametrize("what", ["employees by name", "days of a date", "days of a person"])
async def test_a_narrow_reach_is_found_by_index(
    crowd: Rig, what: str, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = await plans_of(crowd, LOOKUPS[what], viewer, monkeypatch)
    assert {plan.name: plan.scanned_whole(BIG) for plan in plans if plan.scanned_whole(BIG)} == {}


@pytest.mark.parametrize(
    ("what", "name", "index"),
    [
        ("an employee", "employee_by_id", "employee_pkey"),
        ("an employee by number", "employee_by_no", "employee_employee_no_key"),
        ("employees by name", "employees", "employee_by_name"),
        ("employees by hiring", "employees", "employee_by_hired"),
        ("a search", "employees", "employee_search"),
    ],
)
async def test_the_index_that_is_meant(
    crowd: Rig, what: str, name: str, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = await plans_of(crowd, LOOKUPS[what], HR, monkeypatch)
    assert index in next(plan for plan in plans if plan.name == name).indexes


@pytest.mark.parametrize("what", ["days of a date", "days of a person", "employees with their days", "a day and why"])
async def test_other_months_are_not_touched(crowd: Rig, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = await plans_of(crowd, LOOKUPS[what], HR, monkeypatch)
    touched = {partition for plan in plans for partition in plan.touched("attendance_day")}
    assert touched == {"attendance_day_202603"}


async def test_a_punch_is_looked_for_in_its_own_month(crowd: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose id tells it; ids from before are looked for in every month."""
    async with crowd.rows() as rows:
        [(new,)] = await rows.run(
            "INSERT INTO punch (id, employee_id, punched_at, source) SELECT punch_id(at), 77, at, 'WEB'"
            " FROM (SELECT CAST('2026-02-28T23:59:59Z' AS timestamptz)) AS p (at) RETURNING id"
        )
    for key, touched in ((new, {"punch_202602"}), (4_321, None)):
        with explained(monkeypatch) as plans:
            found = await crowd.data(f'{{ node(id: "{encode_id("Punch", key)}") {{ id }} }}', None, HR)
        assert found["node"]["id"] == encode_id("Punch", key)
        [plan] = [plan for plan in plans if plan.name == "punch_by_id"]
        assert touched in (None, plan.touched("punch"))
    assert len(plan.touched("punch")) > 10


async def test_statistics_come_from_the_roll_up(crowd: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "{ stats(filter: { WEEK }, groupBy: [DEPARTMENT, MONTH]) { rows { metrics { presentDays } } } }"
    with explained(monkeypatch) as plans:
        await crowd.data(query.replace("WEEK", WEEK), None, HR, repeats={"stats": 2})
    assert [plan.touched("attendance_day") for plan in plans if plan.name == "stats"] == [set(), set()]


async def test_a_whole_scan_would_be_noticed(crowd: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with explained(monkeypatch) as plans:
        await crowd.records("SELECT count(*) FROM attendance_day WHERE worked_minutes + 0 = 1")
        await crowd.records("SELECT count(*) FROM employee WHERE full_name || '' = 'x'")
    scanned = [table for plan in plans if plan.name == "kit" for table in plan.scanned_whole(BIG)]
    assert scanned == ["attendance_day_202603", "employee"]
