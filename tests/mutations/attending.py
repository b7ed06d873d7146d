"""How tests change attendance: one mutation with its input, all tables before and after, days held to their facts."""

from typing import Any

from db.days import derive_days
from db.roll_up import SUM_OF_DAYS
from domain.ids import EmployeeId, encode_id
from domain.permission import Viewer
from tests.kit.rig import Rig
from tests.kit.small_company import EVERYBODY, FIRST, HR

PROBLEMS = """userErrors { __typename code message path ... on Forbidden { neededRole }
  ... on Conflict { currentVersion current { id } } ... on Overlap { with { id } } }"""
DAY = "id status workMode firstIn { local } lastOut { local } workedMinutes lateMinutes overridden version"
INPUT_TYPES = {
    "checkIn": "CheckInput",
    "checkOut": "CheckInput",
    "recordPunches": "RecordPunchesInput",
    "markAttendance": "MarkAttendanceInput",
    "assignShift": "AssignShiftInput",
    "saveEmployee": "EmployeeInput",
}
SELECTIONS = {
    "checkIn": f"punch {{ direction at {{ instant }} source voided }} day {{ {DAY} }} unattributed duplicate",
    "checkOut": f"punch {{ direction at {{ instant }} source voided }} day {{ {DAY} }} unattributed duplicate",
    "recordPunches": "accepted duplicates unmatched locked",
    "markAttendance": f"days {{ {DAY} }}",
    "assignShift": "employees { fullName } recomputedDays",
    "saveEmployee": """employee { employeeNo fullName email badgeNo status designation hiredOn leftOn version
      department { code } location { code } manager { fullName } }""",
}
RECOMPUTE = f"""mutation($filter: AttendanceFilter!, $dryRun: Boolean) {{
  recompute(filter: $filter, dryRun: $dryRun) {{ days changed sample {{ {DAY} }} {PROBLEMS} }} }}"""
VOID = f"""mutation($id: ID!, $reason: String!) {{ voidPunch(id: $id, reason: $reason) {{
  punch {{ direction at {{ instant }} voided voidReason }} day {{ {DAY} }} unattributed duplicate {PROBLEMS} }} }}"""


async def answer(rig: Rig, field: str, user: str | Viewer = HR, /, **input: Any) -> Any:
    """All that a mutation answers."""
    query = f"""mutation($input: {INPUT_TYPES[field]}!) {{
      {field}(input: $input) {{ {SELECTIONS[field]} {PROBLEMS} }} }}"""
    return (await rig.data(query, {"input": input}, await _viewer(rig, user)))[field]


async def done(rig: Rig, field: str, user: str | Viewer = HR, /, **input: Any) -> Any:
    """The payload of a mutation that has to succeed."""
    return _without_problems(await answer(rig, field, user, **input))


async def refused(rig: Rig, field: str, user: str | Viewer = HR, /, **input: Any) -> list[dict[str, Any]]:
    """What is wrong with a mutation; nothing else is in the payload, and nothing is written."""
    before = await contents(rig)
    found = await answer(rig, field, user, **input)
    assert await contents(rig) == before
    problems = found.pop("userErrors")
    assert not any(found.values()), found
    return list(problems)


async def voided(rig: Rig, user: str, key: int | str, reason: str = "wrong person") -> Any:
    """What voiding a punch answers."""
    id_ = encode_id("Punch", key) if isinstance(key, int) else key
    return (await rig.data(VOID, {"id": id_, "reason": reason}, await rig.viewer(user)))["voidPunch"]


async def recomputed(rig: Rig, user: str, filter_: Any, *, dry_run: bool | None = False) -> Any:
    """What recomputing answers."""
    variables = {"filter": filter_, "dryRun": dry_run}
    return (await rig.data(RECOMPUTE, variables, await rig.viewer(user)))["recompute"]


async def _viewer(rig: Rig, user: str | Viewer) -> Viewer:
    return user if isinstance(user, Viewer) else await rig.viewer(user)


def _without_problems(payload: Any) -> Any:
    assert payload.pop("userErrors") == []
    return payload


def employee(key: int) -> str:
    """A global id."""
    return encode_id("Employee", key)


def shift(key: int) -> str:
    """A global id."""
    return encode_id("Shift", key)


def day(key: int, date: str) -> str:
    """A global id."""
    return encode_id("AttendanceDay", f"{key}:{date}")


def problem(typename: str, code: str, message: str, *path: str, **more: Any) -> dict[str, Any]:
    """A problem as the API shows it."""
    return {"__typename": typename, "code": code, "message": message, "path": list(path)} | more


def invalid(message: str, *path: str, code: str = "INVALID") -> dict[str, Any]:
    """A value that is refused."""
    return problem("InvalidInput", code, message, *path)


async def seen(rig: Rig, query: str, variables: Any, viewer: Viewer) -> Any:
    """The data of a query; figures of a group and their totals are two statements."""
    return await rig.data(query, variables, viewer, repeats={"stats": 2})


async def contents(rig: Rig) -> dict[str, list[str]]:
    """Every row of every table, but for the cache's own."""
    tables = await rig.records("""
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition AND relname NOT LIKE 'cache%' AND relname NOT LIKE 'alembic%' ORDER BY 1""")
    union = " UNION ALL ".join(f"SELECT '{name}', CAST(t AS text) FROM {name} t" for (name,) in tables)
    found: dict[str, list[str]] = {}
    for name, row in await rig.records(f"{union} ORDER BY 1, 2"):
        found.setdefault(name, []).append(row)
    return found


async def check_days(rig: Rig, *whose: int) -> None:
    """The roll-up is a GROUP BY of the days, and deriving every known day again, or those of some, changes none."""
    names = f"work_date, department_id, location_id, coalesce(shift_id, 0), {', '.join(SUM_OF_DAYS.values())}"
    summed = await rig.records(f"SELECT {names} FROM attendance_day GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4")
    stored = f"work_date, department_id, location_id, shift_id, {', '.join(SUM_OF_DAYS)}"
    assert await rig.records(f"SELECT {stored} FROM attendance_stat ORDER BY 1, 2, 3, 4") == summed
    [(last,)] = await rig.records("SELECT max(work_date) FROM attendance_day")
    ids = [EmployeeId(id_) for id_ in whose] or [id_ for (id_,) in await rig.records("SELECT id FROM employee")]
    async with rig.database.transaction() as connection:
        again = await derive_days(connection, ids, FIRST, last, rig.clock(), only_known=True)
        assert [*again.changes] == []
    assert whose or len(ids) >= len(EVERYBODY)


async def versions(rig: Rig) -> dict[tuple[Any, ...], int]:
    """The version of every day and employee."""
    sql = """SELECT 'day', employee_id, CAST(work_date AS text), version FROM attendance_day
             UNION ALL SELECT 'employee', id, '', version FROM employee"""
    return {record[:3]: record[3] for record in await rig.records(sql)}
