"""Days: lists in pages both ways over every order, filters, single days, schedules, explanations, the month grid."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from db.rows import EXCEPTIONS
from domain.ids import encode_id
from tests.kit.raw_days import FIGURES, RawDay, figures, raw_days
from tests.kit.rig import Rig
from tests.kit.small_company import ALEX, FIRST, GRACE, HR, INES, LEO, MIA, NINA, TODAY
from tests.kit.walks import PAGE, WINDOW, WINDOW_ARGUMENTS, walk_backwards, walk_forwards

LIST = f"""
query List($filter: AttendanceFilter!, $orderBy: [AttendanceOrder!], {WINDOW}) {{
  attendance(filter: $filter, orderBy: $orderBy, {WINDOW_ARGUMENTS}) {{ edges {{ cursor node {{ id }} }} {PAGE} }}
}}"""
WHOLE = f"""
query Whole($filter: AttendanceFilter!) {{
  attendance(filter: $filter, first: 500) {{ totalCount totalCountIsExact nodes {{ id }} totals {{ {FIGURES} }} }}
}}"""
MONDAY = date(2026, 3, 9)
WEEK: dict[str, Any] = {"period": {"range": {"from": "2026-03-09", "to": "2026-03-17"}}}
NEVER = datetime.max.replace(tzinfo=UTC)
KEYS: dict[str, Callable[[RawDay], Any]] = {
    "WORK_DATE": lambda day: day["work_date"],
    "EMPLOYEE_NO": lambda day: day["no"],
    "EMPLOYEE_NAME": lambda day: day["name"],
    "LATE_MINUTES": lambda day: day["late_minutes"],
    "WORKED_MINUTES": lambda day: day["worked_minutes"],
    "OVERTIME_MINUTES": lambda day: day["overtime_minutes"],
    "FIRST_IN": lambda day: day["first_in"] or NEVER,
}


def id_of(day: RawDay) -> dict[str, str]:
    return {"id": encode_id("AttendanceDay", f"{day['employee_id']}:{day['work_date']}")}


@pytest.mark.parametrize("size", [11, 60])
@pytest.mark.parametrize(
    "order",
    [
        [],
        ["WORK_DATE ASC"],
        ["EMPLOYEE_NO ASC"],
        ["EMPLOYEE_NAME DESC"],
        ["LATE_MINUTES DESC"],
        ["WORKED_MINUTES ASC", "EMPLOYEE_NAME DESC"],
        ["OVERTIME_MINUTES DESC", "WORK_DATE ASC"],
        ["FIRST_IN ASC"],
        ["FIRST_IN DESC"],
    ],
    ids=lambda order: " ".join(order) or "default",
)
async def test_all_pages_both_ways_are_the_whole_list(rig: Rig, order: list[str], size: int) -> None:
    hr = await rig.viewer(HR)
    days = await raw_days(rig, MONDAY, TODAY)
    terms = [term.split() for term in order or ["WORK_DATE DESC"]]
    down = terms[-1][1] == "DESC"
    days.sort(key=lambda day: (day["work_date"], day["employee_id"]), reverse=down)
    for field, direction in reversed(terms):
        days.sort(key=KEYS[field], reverse=direction == "DESC")
    variables = {"filter": WEEK, "orderBy": [{"field": f, "direction": d} for f, d in terms] if order else None}
    whole = [id_of(day) for day in days]
    assert await walk_forwards(rig, LIST, "attendance", variables, hr, size) == whole
    assert await walk_backwards(rig, LIST, "attendance", variables, hr, size) == whole


def bit(name: str) -> int:
    return 1 << [exception.value for exception in EXCEPTIONS].index(name)


@pytest.mark.parametrize(
    ("narrowed", "holds"),
    [
        ({}, lambda day: True),
        ({"statuses": ["ABSENT", "INCOMPLETE"]}, lambda day: day["status"] in ("ABSENT", "INCOMPLETE")),
        ({"statuses": []}, lambda day: False),
        ({"exceptions": ["LATE_IN"]}, lambda day: day["exceptions"] & bit("LATE_IN")),
        (
            {"exceptions": ["EARLY_OUT", "MISSING_OUT"]},
            lambda day: day["exceptions"] & (bit("EARLY_OUT") | bit("MISSING_OUT")),
        ),
        ({"lateMinutesGte": 15}, lambda day: day["late_minutes"] >= 15),
        ({"overtimeMinutesGte": 30}, lambda day: day["overtime_minutes"] >= 30),
        ({"workModes": ["REMOTE"]}, lambda day: day["work_mode"] == "REMOTE"),
        ({"overtimeUnapproved": True}, lambda day: day["overtime_minutes"] > 0),
        ({"overtimeUnapproved": False}, lambda day: False),
    ],
)
async def test_filters(rig: Rig, narrowed: dict[str, Any], holds: Callable[[RawDay], Any]) -> None:
    days = [day for day in await raw_days(rig, FIRST, TODAY) if holds(day)]
    period = {"period": {"range": {"from": str(FIRST), "to": str(TODAY)}}}
    data = await rig.data(WHOLE, {"filter": {**period, **narrowed}}, await rig.viewer(HR))
    found = data["attendance"]
    assert sorted(node["id"] for node in found["nodes"]) == sorted(id_of(day)["id"] for day in days)
    assert (found["totalCount"], found["totalCountIsExact"]) == (len(days), True)
    assert found["totals"] == figures(days)


async def test_a_day_with_everything(rig: Rig) -> None:
    query = """query($id: ID!) { attendanceDay(employeeId: $id, date: "2026-03-16") {
      workDate dayType status workMode shift { code } department { code } location { code } employee { fullName }
      firstIn { instant local zone } lastOut { local } expectedMinutes workedMinutes breakMinutes lateMinutes
      earlyExitMinutes overtimeMinutes presentDays leaveDays absentDays exceptions locked overridden version
      leaveType { code } punches { direction source at { local } device voided }
      explain { step value punches { at { local } } }
    } }"""
    hr = await rig.viewer(HR)
    often = dict.fromkeys(("facts_company", "facts_employee", "punches_around", "employee_by_id"), 2)
    day = (await rig.data(query, {"id": encode_id("Employee", ALEX)}, hr, repeats=often))["attendanceDay"]
    steps = day.pop("explain")
    assert day == {
        "workDate": "2026-03-16",
        "dayType": "WORKING",
        "status": "PRESENT",
        "workMode": "ONSITE",
        "shift": {"code": "DAY"},
        "department": {"code": "BACK"},
        "location": {"code": "MUM"},
        "employee": {"fullName": "Alex Kim"},
        "firstIn": {"instant": "2026-03-16T03:50:00Z", "local": "2026-03-16T09:20", "zone": "Asia/Kolkata"},
        "lastOut": {"local": "2026-03-16T18:00"},
        "expectedMinutes": 480,
        "workedMinutes": 460,
        "breakMinutes": 60,
        "lateMinutes": 20,
        "earlyExitMinutes": 0,
        "overtimeMinutes": 0,
        "presentDays": 1.0,
        "leaveDays": 0.0,
        "absentDays": 0.0,
        "exceptions": ["LATE_IN"],
        "locked": False,
        "overridden": False,
        "version": 1,
        "leaveType": None,
        "punches": [
            {
                "direction": "IN",
                "source": "DEVICE",
                "at": {"local": "2026-03-16T09:20"},
                "device": None,
                "voided": False,
            },
            {
                "direction": "OUT",
                "source": "DEVICE",
                "at": {"local": "2026-03-16T18:00"},
                "device": None,
                "voided": False,
            },
        ],
    }
    by_step = {step["step"]: step["value"] for step in steps}
    assert (by_step["rule"], by_step["status"]) == (2, "PRESENT")
    shown = {punch["at"]["local"] for step in steps for punch in step["punches"]}
    assert shown == {"2026-03-16T09:20", "2026-03-16T18:00"}


def _punched(direction: str, local: str) -> dict[str, Any]:
    return {"direction": direction, "source": "DEVICE", "at": {"local": local}, "device": None, "voided": False}


async def test_the_department_of_a_day_is_the_one_of_its_date(rig: Rig) -> None:
    query = """query($id: ID!) { employee(id: $id) { department { code }
      attendance(period: { range: { from: "2026-03-08", to: "2026-03-09" } }) { workDate department { code } } } }"""
    data = await rig.data(
        query, {"id": encode_id("Employee", INES)}, await rig.viewer(HR), repeats={"department_by_id": 2}
    )
    assert data["employee"] == {
        "department": {"code": "BACK"},
        "attendance": [
            {"workDate": "2026-03-09", "department": {"code": "BACK"}},
            {"workDate": "2026-03-08", "department": {"code": "FRONT"}},
        ],
    }


async def test_a_schedule_reaches_into_the_future(rig: Rig) -> None:
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { ... on Employee {
      schedule(period: { range: { from: "2026-03-18", to: "2026-03-21" } }) {
        date dayType origin shift { code } startsAt { local } endsAt { local } } } } }"""
    ids = [encode_id("Employee", key) for key in (GRACE, NINA, LEO)]
    grace, nina, leo = (await rig.data(query, {"ids": ids}, await rig.viewer(HR)))["nodes"]
    told = [
        (p["date"][-2:], p["dayType"], p["origin"], p["startsAt"] and p["startsAt"]["local"]) for p in grace["schedule"]
    ]
    assert told == [
        ("18", "WORKING", "DEFAULT", "2026-03-18T09:00"),
        ("19", "WORKING", "DEFAULT", "2026-03-19T09:00"),
        ("20", "WORKING", "DEFAULT", "2026-03-20T09:00"),
        ("21", "WORKING", "DEFAULT", "2026-03-21T09:00"),
    ]
    assert nina["schedule"][0]["endsAt"] == {"local": "2026-03-19T06:00"}
    assert (nina["schedule"][3]["dayType"], nina["schedule"][3]["startsAt"]) == ("WEEKLY_OFF", None)
    assert leo["schedule"] == []


async def test_the_month_grid(rig: Rig) -> None:
    query = f"""query($after: String) {{ monthGrid(year: 2026, month: 3, first: 5, after: $after) {{
      year month days pageInfo {{ hasNextPage endCursor }}
      rows {{ employee {{ employeeNo }} codes totals {{ {FIGURES} }} }} }} }}"""
    hr = await rig.viewer(HR)
    rows, after = [], None
    for _ in range(3):
        page = (await rig.data(query, {"after": after}, hr))["monthGrid"]
        rows += page["rows"]
        after = page["pageInfo"]["endCursor"]
    assert page["days"] == [f"2026-03-{day:02}" for day in range(1, 32)]
    assert (len(rows), page["pageInfo"]["hasNextPage"]) == (14, False)
    codes = {row["employee"]["employeeNo"]: row["codes"] for row in rows}
    assert codes["E007"][15:18] == ["MIS", "L", "-"]
    assert codes["E012"][5:8] == ["P", "-", "-"]
    assert codes["E001"][3] == "H" and codes["E001"][13:16] == ["W", "W", "A"]
    days = await raw_days(rig, date(2026, 3, 1), TODAY)
    for row in rows:
        assert row["totals"] == figures(day for day in days if day["no"] == row["employee"]["employeeNo"])
    assert MIA == 7
