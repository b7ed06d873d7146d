"""Statistics equal what plain Python adds up from the raw days, by every dimension, from the roll-up and from days."""

from collections import defaultdict
from collections.abc import Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from db.rows import EXCEPTIONS
from domain.ids import encode_id
from tests.kit.raw_days import FIGURES, RawDay, figures, raw_days
from tests.kit.rig import Rig
from tests.kit.small_company import ANALYST, BACKEND, ENGINEERING, FIRST, GRACE, HR, MUMBAI, TODAY

STATS = f"""
query Stats($filter: AttendanceFilter!, $groupBy: [Dimension!]! = [], $having: [MetricHaving!], $orderBy: MetricOrder,
            $limit: Int = 500, $compare: Boolean = false) {{
  stats(filter: $filter, groupBy: $groupBy, having: $having, orderBy: $orderBy, limit: $limit,
        compareToPrevious: $compare) {{
    rows {{ keys {{ dimension value label }} metrics {{ {FIGURES} }} previous {{ {FIGURES} }} }}
    totals {{ {FIGURES} }} previousTotals {{ {FIGURES} }} truncated asOf provisional
  }}
}}"""
ALL: dict[str, Any] = {"period": {"range": {"from": str(FIRST), "to": str(TODAY)}}}


def ids(type_name: str, column: str) -> Callable[[RawDay], list[str]]:
    return lambda day: [encode_id(type_name, day[column])] if day[column] is not None else ["NONE"]


def hour(day: RawDay) -> list[str]:
    if day["first_in"] is None:
        return ["NONE"]
    return [f"{day['first_in'].astimezone(ZoneInfo(day['time_zone'])):%H}"]


def exceptions(day: RawDay) -> list[str]:
    return [label for bit, label in enumerate(EXCEPTIONS) if day["exceptions"] >> bit & 1] or ["NONE"]


VALUES_BY_DIMENSION: dict[str, Callable[[RawDay], list[str]]] = {
    "DATE": lambda day: [str(day["work_date"])],
    "WEEK": lambda day: [f"{day['work_date'].isocalendar().year}-W{day['work_date'].isocalendar().week:02}"],
    "MONTH": lambda day: [f"{day['work_date']:%Y-%m}"],
    "WEEKDAY": lambda day: [str(day["work_date"].isoweekday())],
    "HOUR_OF_FIRST_IN": hour,
    "DEPARTMENT": ids("Department", "department_id"),
    "LOCATION": ids("Location", "location_id"),
    "SHIFT": ids("Shift", "shift_id"),
    "MANAGER": ids("Employee", "manager_id"),
    "EMPLOYEE": ids("Employee", "employee_id"),
    "EMPLOYMENT_TYPE": lambda day: [day["employment_type"]],
    "STATUS": lambda day: [day["status"]],
    "WORK_MODE": lambda day: [day["work_mode"]],
    "EXCEPTION": exceptions,
    "LEAVE_TYPE": ids("LeaveType", "leave_type_id"),
}


def grouped(days: list[RawDay], dimensions: list[str]) -> dict[tuple[str, ...], Any]:
    groups: defaultdict[tuple[str, ...], list[RawDay]] = defaultdict(list)
    for day in days:
        keys: list[tuple[str, ...]] = [()]
        for dimension in dimensions:
            keys = [(*key, value) for key in keys for value in VALUES_BY_DIMENSION[dimension](day)]
        for key in keys:
            groups[key].append(day)
    return {key: figures(of_key) for key, of_key in groups.items()}


def answered(rows: Any) -> dict[tuple[str, ...], Any]:
    return {tuple(key["value"] for key in row["keys"]): row["metrics"] for row in rows}


NARROWINGS: list[tuple[str, dict[str, Any], Callable[[RawDay], bool]]] = [
    ("everything", {}, lambda day: True),
    ("statuses", {"statuses": ["PRESENT", "ABSENT"]}, lambda day: day["status"] in ("PRESENT", "ABSENT")),
    (
        "departments",
        {"scope": {"departmentIds": [encode_id("Department", ENGINEERING)]}},
        lambda day: day["department_id"] in (2, 3, 4),
    ),
]


@pytest.mark.parametrize(("narrowing", "holds"), [row[1:] for row in NARROWINGS], ids=[row[0] for row in NARROWINGS])
@pytest.mark.parametrize("dimension", VALUES_BY_DIMENSION)
async def test_groups_equal_the_raw_days(
    rig: Rig, dimension: str, narrowing: dict[str, Any], holds: Callable[[RawDay], bool]
) -> None:
    days = [day for day in await raw_days(rig, FIRST, TODAY) if holds(day)]
    variables = {"filter": {**ALL, **narrowing}, "groupBy": [dimension]}
    # groups and totals are two lookups of one statement, and so are their headcounts
    answer = await rig.execute(STATS, variables, await rig.viewer(HR), repeats={"stats": 2, "headcount": 2})
    result = answer.data["stats"]
    assert answered(result["rows"]) == grouped(days, [dimension])
    assert len(result["rows"]) == len(answered(result["rows"]))
    assert result["totals"] == figures(days)
    assert (result["truncated"], result["provisional"]) == (False, any(day["status"] == "PENDING" for day in days))


@pytest.mark.parametrize(
    "dimensions",
    [["DEPARTMENT", "MONTH"], ["MONTH", "EXCEPTION", "SHIFT"], ["DATE", "DEPARTMENT", "LOCATION", "SHIFT"]],
)
async def test_several_dimensions(rig: Rig, dimensions: list[str]) -> None:
    days = await raw_days(rig, FIRST, TODAY)
    variables = {"filter": ALL, "groupBy": dimensions}
    result = await rig.data(STATS, variables, await rig.viewer(HR), repeats={"stats": 2, "headcount": 2})
    assert answered(result["stats"]["rows"]) == grouped(days, dimensions)


async def test_without_dimensions_there_are_totals_alone(rig: Rig) -> None:
    result = (await rig.data(STATS, {"filter": ALL}, await rig.viewer(HR), repeats={"stats": 2}))["stats"]
    assert (result["rows"], result["truncated"]) == ([], False)
    assert result["totals"] == figures(await raw_days(rig, FIRST, TODAY))
    assert result["asOf"] == "2026-03-17T05:00:00Z"


async def test_labels_and_nodes_of_keys(rig: Rig) -> None:
    query = """query($filter: AttendanceFilter!, $by: [Dimension!]!) { stats(filter: $filter, groupBy: $by) {
      rows { keys { value label node { __typename } } } } }"""
    hr = await rig.viewer(HR)

    async def first_key(dimension: str) -> Any:
        data = await rig.data(query, {"filter": ALL, "by": [dimension]}, hr, repeats={"stats": 2})
        return data["stats"]["rows"][0]["keys"][0]

    assert await first_key("DEPARTMENT") == {
        "value": encode_id("Department", 1),
        "label": "Company",
        "node": {"__typename": "Department"},
    }
    assert await first_key("WEEKDAY") == {"value": "1", "label": "Monday", "node": None}
    assert (await first_key("EMPLOYEE"))["label"] == "Ada Lovelace"


async def test_namesakes_have_labels_that_tell_them_apart(fresh_rig: Rig) -> None:
    hr, by = await fresh_rig.viewer(HR), "stats(filter: $filter, groupBy: [DEPARTMENT, EMPLOYEE])"
    query = f"""query($filter: AttendanceFilter!) {{ {by} {{ rows {{ keys {{ value label }} }} }}
      today {{ byDepartment {{ keys {{ value label }} }} }} }}"""
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE department SET name = 'Backend' WHERE code = 'FRONT' RETURNING id")
    found = await fresh_rig.data(query, {"filter": ALL}, hr, repeats={"stats": 2})
    labels = {key["value"]: key["label"] for row in found["stats"]["rows"] for key in row["keys"]}
    assert [labels[encode_id("Department", key)] for key in (1, 3, 4)] == [
        "Company",
        "Backend (BACK)",
        "Backend (FRONT)",
    ]
    people = [labels[encode_id("Employee", key)] for key in (1, 5, 6)]
    assert people == ["Ada Lovelace", "Alex Kim (E005)", "Alex Kim (E006)"]
    today = [row["keys"][0]["label"] for row in found["today"]["byDepartment"]]
    assert today == ["Backend (BACK)", "Backend (FRONT)", "Company", "Engineering", "Gate", "Lab", "Operations"]


async def test_bounds_order_and_limit(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    by_department = grouped(await raw_days(rig, FIRST, TODAY), ["DEPARTMENT"])
    falling = sorted(by_department, key=lambda key: by_department[key]["workedHours"], reverse=True)
    ordered = {"filter": ALL, "groupBy": ["DEPARTMENT"], "orderBy": {"metric": "WORKED_HOURS"}}
    twice = {"stats": 2, "headcount": 2}
    top = (await rig.data(STATS, {**ordered, "limit": 2}, hr, repeats=twice))["stats"]
    assert list(answered(top["rows"])) == falling[:2]
    assert top["truncated"] is True
    rising = {**ordered, "orderBy": {"metric": "WORKED_HOURS", "direction": "ASC"}}
    assert list(answered((await rig.data(STATS, rising, hr, repeats=twice))["stats"]["rows"])) == falling[::-1]
    crowded = {"filter": ALL, "groupBy": ["DEPARTMENT"], "having": [{"metric": "HEADCOUNT", "gte": 2, "lte": 4}]}
    kept = answered((await rig.data(STATS, crowded, hr, repeats=twice))["stats"]["rows"])
    assert kept == {key: one for key, one in by_department.items() if 2 <= one["headcount"] <= 4}
    assert 0 < len(kept) < len(by_department)


async def test_a_rate_over_nothing_is_null_and_comes_last(rig: Rig) -> None:
    variables = {"filter": ALL, "groupBy": ["STATUS"], "orderBy": {"metric": "PUNCTUALITY_RATE"}}
    data = await rig.data(STATS, variables, await rig.viewer(HR), repeats={"stats": 2, "headcount": 2})
    rates = [row["metrics"]["punctualityRate"] for row in data["stats"]["rows"]]
    known = [rate for rate in rates if rate is not None]
    assert known == sorted(known, reverse=True) and rates == [*known, *[None] * (len(rates) - len(known))]
    assert 0 < len(known) < len(rates)


async def test_the_period_before(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    week = {"period": {"range": {"from": "2026-03-09", "to": "2026-03-13"}}}
    variables = {"filter": week, "groupBy": ["DEPARTMENT"], "compare": True}
    result = (await rig.data(STATS, variables, hr, repeats={"stats": 4, "headcount": 4}))["stats"]
    before = await raw_days(rig, date(2026, 3, 4), date(2026, 3, 8))
    assert result["previousTotals"] == figures(before)
    rows = {row["keys"][0]["value"]: row["previous"] for row in result["rows"]}
    assert rows == {key[0]: one for key, one in grouped(before, ["DEPARTMENT"]).items()}


async def test_relative_periods_are_seen_from_the_viewers_today(rig: Rig) -> None:
    days = await raw_days(rig, date(2026, 3, 16), date(2026, 3, 16))
    yesterday = {"filter": {"period": {"relative": "YESTERDAY"}}}
    result = (await rig.data(STATS, yesterday, await rig.viewer(HR), repeats={"stats": 2}))["stats"]
    assert result["totals"] == figures(days)


@pytest.mark.parametrize(
    ("scope", "holds"),
    [
        ({"locationIds": [encode_id("Location", MUMBAI)]}, lambda day: day["location_id"] == MUMBAI),
        ({"shiftIds": [encode_id("Shift", 1)]}, lambda day: day["shift_id"] == 1),
        ({"managerId": encode_id("Employee", GRACE)}, lambda day: day["manager_id"] == GRACE),
        ({"employeeIds": [encode_id("Employee", GRACE)]}, lambda day: day["employee_id"] == GRACE),
        (
            {"departmentIds": [encode_id("Department", ENGINEERING)], "includeSubdepartments": False},
            lambda day: day["department_id"] == ENGINEERING,
        ),
        ({"departmentIds": [encode_id("Department", BACKEND)]}, lambda day: day["department_id"] == BACKEND),
        ({"departmentIds": []}, lambda day: False),
    ],
)
async def test_scopes_go_by_the_day_as_it_was(rig: Rig, scope: Any, holds: Callable[[RawDay], bool]) -> None:
    days = [day for day in await raw_days(rig, FIRST, TODAY) if holds(day)]
    data = await rig.data(STATS, {"filter": {**ALL, "scope": scope}}, await rig.viewer(HR), repeats={"stats": 2})
    assert data["stats"]["totals"] == figures(days)


async def test_small_groups_are_kept_from_analysts(rig: Rig) -> None:
    analyst = await rig.viewer(ANALYST)
    by_department = {"filter": ALL, "groupBy": ["DEPARTMENT"]}
    data = await rig.data(STATS, by_department, analyst, repeats={"stats": 2, "headcount": 2})
    everyone = grouped(await raw_days(rig, FIRST, TODAY), ["DEPARTMENT"])
    assert answered(data["stats"]["rows"]) == {key: one for key, one in everyone.items() if one["headcount"] >= 5}
    by_employee = {"filter": ALL, "groupBy": ["EMPLOYEE"]}
    data = await rig.data(STATS, by_employee, analyst, repeats={"stats": 2, "headcount": 2})
    assert data["stats"]["rows"] == []
    one = {"filter": {**ALL, "scope": {"employeeIds": [encode_id("Employee", GRACE)]}}}
    totals = (await rig.data(STATS, one, analyst, repeats={"stats": 2}))["stats"]["totals"]
    assert totals == {**figures([]), "suppressed": True}


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"groupBy": ["DATE", "DATE"]}, "groupBy: needed at most 4 dimensions, each once, got DATE, DATE"),
        (
            {"groupBy": ["DATE", "WEEK", "MONTH", "SHIFT", "STATUS"]},
            "groupBy: needed at most 4 dimensions, each once, got DATE, WEEK, MONTH, SHIFT, STATUS",
        ),
        ({"having": [{"metric": "LATE_COUNT"}] * 17}, "having: needed at most 16 bounds, got 17"),
        ({"limit": 0}, "limit: needed a whole number from 1 to 5000, got 0"),
        ({"limit": 5001}, "limit: needed a whole number from 1 to 5000, got 5001"),
        ({"limit": None}, "limit: needed a whole number from 1 to 5000, got None"),
    ],
)
async def test_what_cannot_be_asked(rig: Rig, variables: dict[str, Any], message: str) -> None:
    answer = await rig.execute(STATS, {"filter": ALL, **variables}, await rig.viewer(HR))
    assert answer.code == "BAD_USER_INPUT"
    assert answer.message.startswith(message)
