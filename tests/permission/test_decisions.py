"""What a viewer of pseudonyms gets, decided field by field: a field that is added fails here until it is decided on."""

from typing import Any, Final

import pytest
from graphql import GraphQLObjectType, build_schema, get_named_type

from schema.root import printed
from tests.kit.rig import Rig
from tests.kit.small_company import ANALYST, AUDITOR, LEO, MIA

SHOWN: Final = "shown"
"""As it is in the database."""

EMPLOYEE: Final = {
    "id": SHOWN,  # the pseudonym
    "employeeNo": f"pseudonym-{LEO}",
    "fullName": f"Employee {LEO}",
    "email": None,
    "badgeNo": None,
    "status": SHOWN,
    "employmentType": SHOWN,
    "designation": None,
    "timeZone": SHOWN,
    "hiredOn": "2025-01-01",
    "leftOn": "2026-12-31",
    "version": SHOWN,
    "department": SHOWN,
    "location": SHOWN,
    "shift": SHOWN,
    "manager": None,
    "reports": {"totalCount": 0, "nodes": [], "pageInfo": {"startCursor": None}},
    "attendance": SHOWN,
    "punches": SHOWN,
    "schedule": SHOWN,
    "summary": {"headcount": 0, "workedHours": 0.0, "suppressed": True},
    "presence": SHOWN,
}
DAY: Final = dict.fromkeys(
    (
        *("id", "workDate", "dayType", "status", "workMode", "firstIn", "lastOut", "expectedMinutes", "workedMinutes"),
        *("breakMinutes", "lateMinutes", "earlyExitMinutes", "overtimeMinutes", "overtimeApprovedMinutes"),
        *("overtimeKind", "presentDays", "leaveDays", "absentDays", "exceptions", "locked", "overridden", "version"),
        *("employee", "shift", "department", "location", "punches", "unattributed"),
    ),
    SHOWN,
) | {"leaveType": None, "explain": []}
PUNCH: Final = dict.fromkeys(
    ("id", "employee", "day", "at", "direction", "source", "outsideGeofence", "voided"), SHOWN
) | {
    "note": None,
    "device": None,
    "voidReason": None,
}
DECIDED: Final = {"Employee": EMPLOYEE, "AttendanceDay": DAY, "Punch": PUNCH}
MARCH: Final = 'period: { range: { from: "2026-03-01", to: "2026-03-17" } }'
SELECTED: Final = {
    **dict.fromkeys(("firstIn", "lastOut", "at"), "{ local }"),
    **dict.fromkeys(("department", "location", "shift", "leaveType"), "{ code }"),
    **dict.fromkeys(("manager", "employee", "punches", "unattributed", "day"), "{ id }"),
    "attendance": f"({MARCH}) {{ id }}",
    "schedule": f"({MARCH}) {{ date }}",
    "reports": "{ totalCount nodes { id } pageInfo { startCursor } }",
    "summary": f"({MARCH}) {{ headcount workedHours suppressed }}",
    "presence": "{ state since { local } }",
    "explain": "{ step }",
}

OFTEN: Final = dict.fromkeys(("facts_company", "facts_employee", "punches_around", "employee_by_id"), 5)

IN_GROUPS, ONE, ROW, CHANGED, NO_PEOPLE = "in groups", "by name only", "of a row", "of who manages", "none"
PATHS: Final = {
    "AttendanceConnection.edges": IN_GROUPS,
    "AttendanceConnection.nodes": IN_GROUPS,
    "AttendanceConnection.totals": IN_GROUPS,
    "AttendanceDay.employee": ROW,
    "AttendanceDay.punches": ROW,
    "AttendanceDay.unattributed": ROW,
    "AttendanceDay.explain": ONE,
    "AttendanceEdge.node": IN_GROUPS,
    "DashboardToday.byDepartment": IN_GROUPS,
    "DashboardToday.lateNotIn": IN_GROUPS,
    "DashboardToday.onLeave": IN_GROUPS,
    "DashboardToday.totals": IN_GROUPS,
    "Department.employees": IN_GROUPS,
    "Department.manager": ONE,
    "Department.stats": IN_GROUPS,
    "DerivationStep.punches": ONE,
    "Employee.attendance": ROW,
    "Employee.manager": ONE,
    "Employee.presence": ROW,
    "Employee.punches": ROW,
    "Employee.reports": ONE,
    "Employee.schedule": ROW,
    "Employee.summary": ONE,
    "EmployeeConnection.edges": IN_GROUPS,
    "EmployeeConnection.nodes": IN_GROUPS,
    "EmployeeEdge.node": IN_GROUPS,
    "MonthGrid.rows": IN_GROUPS,
    "MonthGridRow.employee": ROW,
    "MonthGridRow.totals": ONE,
    "Punch.day": ROW,
    "Punch.employee": ROW,
    "Query.attendance": IN_GROUPS,
    "Query.attendanceDay": ONE,
    "Query.employee": ONE,
    "Query.employees": IN_GROUPS,
    "Query.monthGrid": IN_GROUPS,
    "Query.node": ONE,
    "Query.nodes": ONE,
    "Query.stats": IN_GROUPS,
    "Query.today": IN_GROUPS,
    "StatKey.node": ONE,
    "StatResult.previousTotals": IN_GROUPS,
    "StatResult.rows": IN_GROUPS,
    "StatResult.totals": IN_GROUPS,
    "StatRow.metrics": IN_GROUPS,
    "StatRow.previous": IN_GROUPS,
    "Subscription.todayChanged": IN_GROUPS,
    "User.employee": ONE,
    "AssignShiftPayload.employees": CHANGED,
    "CheckPayload.day": CHANGED,
    "CheckPayload.punch": CHANGED,
    "Conflict.current": CHANGED,
    "EmployeePayload.employee": CHANGED,
    "MarkAttendancePayload.days": CHANGED,
    "Overlap.with": CHANGED,
    "RecomputePayload.sample": CHANGED,
}
"""Every way to people: what is shown goes through resolvers/small_groups.py, by name only, or hangs on a row shown."""
PEOPLE: Final = frozenset(
    (
        *("Employee", "EmployeeConnection", "EmployeeEdge", "AttendanceDay", "AttendanceConnection", "AttendanceEdge"),
        *("Punch", "Presence", "ShiftPlan", "DerivationStep", "MonthGrid", "MonthGridRow", "DashboardToday"),
        *("StatMetrics", "StatRow", "StatResult", "DimensionNode", "Node"),
    )
)
COUNTS: Final = {
    "AttendanceConnection.totalCount": IN_GROUPS,
    "AttendanceConnection.totalCountIsExact": IN_GROUPS,
    "EmployeeConnection.totalCount": IN_GROUPS,
    "EmployeeConnection.totalCountIsExact": IN_GROUPS,
    "DashboardToday.exceptionsOpen": IN_GROUPS,
    "DashboardToday.inNow": IN_GROUPS,
    "DashboardToday.pendingApprovals": CHANGED,
    "MonthGrid.month": NO_PEOPLE,
    "MonthGrid.year": NO_PEOPLE,
    "StatResult.provisional": IN_GROUPS,
    "StatResult.truncated": IN_GROUPS,
}
"""Numbers and flags beside people, those of StatMetrics and of the types above aside."""


def object_types() -> dict[str, GraphQLObjectType]:
    types = build_schema(printed()).type_map.items()
    return {name: kind for name, kind in types if isinstance(kind, GraphQLObjectType) and not name.startswith("__")}


@pytest.mark.parametrize("name", DECIDED)
def test_every_field_of_a_row_is_decided(name: str) -> None:
    assert set(object_types()[name].fields) == set(DECIDED[name])


def test_every_way_to_people_is_decided() -> None:
    ways = {
        f"{name}.{field_name}"
        for name, kind in object_types().items()
        for field_name, field in kind.fields.items()
        if get_named_type(field.type).name in PEOPLE
    }
    assert ways == set(PATHS)


def test_every_number_beside_people_is_decided() -> None:
    beside = PEOPLE - {*DECIDED, "StatMetrics", "DerivationStep", "ShiftPlan", "Presence"}
    numbers = {
        f"{name}.{field_name}"
        for name, kind in object_types().items()
        for field_name, field in kind.fields.items()
        if name in beside and get_named_type(field.type).name in ("Int", "Float", "Boolean")
    }
    assert numbers == set(COUNTS)


def selection(decisions: dict[str, Any]) -> str:
    nested = SELECTED | {"punches": SELECTED["attendance"]} if decisions is EMPLOYEE else SELECTED
    return " ".join(f"{name} {nested.get(name, '')}" for name in decisions)


async def test_what_comes_under_a_pseudonym(fresh_rig: Rig) -> None:
    """Everything that can be filled in is: of Leo, of Mia's sick leave and of her punch."""
    async with fresh_rig.rows() as rows:
        filled = "email = 'leo@rollcall.test', badge_no = 'B-12', designation = 'Welder', hired_on = '2025-04-05'"
        await rows.run(f"UPDATE employee SET {filled} WHERE id = :id", id=LEO)
        filled = "note = 'my knee', voided_at = now(), void_reason = 'he was ill'"
        await rows.run(f"UPDATE punch SET {filled} WHERE employee_id = :id AND device_id = 1", id=MIA)
        await rows.run("UPDATE employee SET manager_id = :leo WHERE id = 1", leo=LEO)
    days = 'period: { range: { from: "2026-03-16", to: "2026-03-17" } }'
    query = f"""{{ employees(first: 20) {{ nodes {{ {selection(EMPLOYEE)} }} }}
      attendance(first: 40, filter: {{ {days} }}) {{ nodes {{ {selection(DAY)} }} }}
      punches: attendance(first: 40, filter: {{ {days} }}) {{ nodes {{ punches {{ {selection(PUNCH)} }} }} }} }}"""
    truth, found = [
        await fresh_rig.data(query, viewer=await fresh_rig.viewer(email), repeats=OFTEN) for email in (AUDITOR, ANALYST)
    ]
    truth, found = rows_of(truth), rows_of(found)
    assert found.keys() == truth.keys()
    for id_, row in truth.items():
        assert {name for name in row if found[id_][name] != row[name]} <= {
            name for name, decided in row_decisions(row).items() if decided is not SHOWN
        }
    [leo] = [id_ for id_, row in truth.items() if row.get("fullName") == "Leo Left"]
    [sick] = [id_ for id_, row in truth.items() if row.get("leaveType") == {"code": "SL"}]
    [punch] = [id_ for id_, row in truth.items() if row.get("note") == "my knee"]
    for id_ in (leo, sick, punch):
        decisions = row_decisions(truth[id_])
        expected = {name: truth[id_][name] if decided is SHOWN else decided for name, decided in decisions.items()}
        assert found[id_] == expected
        hidden = {name for name, decided in decisions.items() if decided is not SHOWN}
        assert {name for name in hidden if truth[id_][name] == expected[name]} == set(), "nothing there to be hidden"


def rows_of(data: Any) -> dict[str, Any]:
    punches = [punch for day in data["punches"]["nodes"] for punch in day["punches"]]
    return {row["id"]: row for row in (*data["employees"]["nodes"], *data["attendance"]["nodes"], *punches)}


def row_decisions(row: dict[str, Any]) -> dict[str, Any]:
    return next(decisions for decisions in DECIDED.values() if decisions.keys() == row.keys())
