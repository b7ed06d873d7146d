"""Arguments that cannot be meant: an error with its code that names the argument and the fix, never a crash."""

from base64 import urlsafe_b64encode
from typing import Any

import msgspec
import pytest

from domain.ids import encode_id
from resolvers.arguments import cursor_text
from tests.kit.rig import Rig
from tests.kit.small_company import HR, MANAGER

DAYS = """query($filter: AttendanceFilter!, $orderBy: [AttendanceOrder!], $first: Int, $after: String, $last: Int,
                $before: String) {
  attendance(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor } } }"""
PEOPLE = """query($filter: EmployeeFilter, $orderBy: [EmployeeOrder!], $first: Int, $after: String, $last: Int) {
  employees(filter: $filter, orderBy: $orderBy, first: $first, after: $after, last: $last) { edges { cursor } } }"""

BY_NO = "query($no: String) { employee(employeeNo: $no) { id } }"
LONG_CURSOR = cursor_text((("NAME", False),), ("x" * 8_000, "1"))


def days(first: str, last: str, **more: Any) -> dict[str, Any]:
    return {"filter": {"period": {"range": {"from": first, "to": last}}, **more}}


MARCH = days("2026-03-01", "2026-03-17")


@pytest.mark.parametrize(
    ("query", "variables", "message"),
    [
        (
            DAYS,
            days("2026-03-02", "2026-03-01"),
            "filter.period.range.to: needed a date not before `from` (2026-03-0",
        ),
        (DAYS, days("2020-01-01", "2026-01-01"), "filter.period.range: needed at most 800 days, got 2193"),
        (
            DAYS,
            days("1999-12-31", "2000-01-01"),
            "filter.period.range.from: needed a date from 2000-01-01 to 2100-12",
        ),
        (DAYS, days("2100-12-31", "9999-12-31"), "filter.period.range.to: needed a date from 2000-01-01 to 2100-12"),
        (DAYS, {**MARCH, "first": 501}, "first: needed a whole number from 0 to 500, got 501"),
        (DAYS, {**MARCH, "first": -1}, "first: needed a whole number from 0 to 500, got -1"),
        (DAYS, {**MARCH, "last": 501}, "last: needed a whole number from 0 to 500, got 501"),
        (DAYS, {**MARCH, "after": "nonsense"}, "after: needed a cursor that this list returned in the same order"),
        (DAYS, {**MARCH, "before": "é"}, "before: needed a cursor that this list returned in the same order"),
        (DAYS, {**MARCH, "after": ""}, "after: needed a cursor that this list returned in the same order"),
        (PEOPLE, {"first": 501}, "first: needed a whole number from 0 to 500, got 501"),
        (
            PEOPLE,
            {"filter": {"search": "a\0b"}},
            "a value of the request does not fit: a number is too large, a text holds",
        ),
        (PEOPLE, {"after": LONG_CURSOR}, "after: needed a cursor that this list returned in the same order"),
        (BY_NO, {"no": "x" * 101}, "employeeNo: needed at most 100 characters, got 101"),
        (PEOPLE, {"filter": {"search": "x" * 101}}, "filter.search: needed at most 100 characters, got 101"),
        (
            PEOPLE,
            {"filter": {"hiredIn": {"from": "2026-01-02", "to": "2026-01-01"}}},
            "filter.hiredIn.to: needed a date not before `from`",
        ),
        (
            PEOPLE,
            {"filter": {"scope": {"departmentIds": [encode_id("Department", 99)]}}},
            "filter.scope.departmentIds[0]: there is no such department",
        ),
        (
            PEOPLE,
            {"filter": {"scope": {"locationIds": [encode_id("Department", 1)]}}},
            "filter.scope.locationIds[0]: needed the id of a Location",
        ),
        (
            PEOPLE,
            {"filter": {"scope": {"employeeIds": [encode_id("Employee", 1)] * 1001}}},
            "filter.scope.employeeIds: needed at most 1000 ids, got 1001",
        ),
        (
            PEOPLE,
            {"filter": {"scope": {"myTeam": True}}},
            "filter.scope.myTeam: the signed-in user has no employee record",
        ),
        (
            DAYS,
            {"filter": {"period": {"payPeriodId": encode_id("PayPeriod", 99)}}},
            "filter.period.payPeriodId: there is no such pay period",
        ),
        ("{ employee { id } }", {}, "employee: needed exactly one of id and employeeNo"),
        ("{ monthGrid(year: 2026, month: 13) { year } }", {}, "month: needed a number from 1 to 12, got 13"),
        ("{ monthGrid(year: 1066, month: 1) { year } }", {}, "year: needed a year from 2000 to 2100, got 1066"),
    ],
)
async def test_the_error_names_the_argument(rig: Rig, query: str, variables: dict[str, Any], message: str) -> None:
    answer = await rig.execute(query, variables, await rig.viewer(HR))
    assert (answer.code, answer.message[: len(message)]) == ("BAD_USER_INPUT", message)


async def test_a_cursor_is_good_for_its_own_order_only(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    by_name = (await rig.data(PEOPLE, {"first": 1}, hr))["employees"]["edges"][0]["cursor"]
    for field in ("EMPLOYEE_NO", "HIRED_ON", "DEPARTMENT"):
        answer = await rig.execute(PEOPLE, {"first": 1, "after": by_name, "orderBy": [{"field": field}]}, hr)
        assert answer.message.startswith("after: needed a cursor that this list returned in the same order, got ")
    falling = {"first": 1, "after": by_name, "orderBy": [{"field": "NAME", "direction": "DESC"}]}
    assert (await rig.execute(PEOPLE, falling, hr)).code == "BAD_USER_INPUT"
    days_cursor = (await rig.data(DAYS, {**MARCH, "first": 1}, hr))["attendance"]["edges"][0]["cursor"]
    assert (await rig.execute(PEOPLE, {"first": 1, "after": days_cursor}, hr)).code == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "values", [["Ada", "x"], ["Ada", "9" * 40], ["Ada"], ["Ada", "1", "2"], ["a\x00b", "1"], [1, 2]]
)
async def test_a_forged_cursor_is_refused(rig: Rig, values: list[Any]) -> None:
    forged = urlsafe_b64encode(msgspec.json.encode(["NAME", *values])).rstrip(b"=").decode()
    answer = await rig.execute(PEOPLE, {"first": 1, "after": forged}, await rig.viewer(HR))
    assert answer.code == "BAD_USER_INPUT"


async def test_a_search_cannot_hold_a_zero_byte(rig: Rig) -> None:
    answer = await rig.execute(PEOPLE, {"filter": {"search": "a\x00b"}}, await rig.viewer(HR))
    assert answer.code == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    "period", [{}, {"relative": "TODAY", "payPeriodId": "x"}, {"relative": None}, {"relative": "SOMEDAY"}]
)
async def test_a_period_is_exactly_one_thing(rig: Rig, period: dict[str, Any]) -> None:
    answer = await rig.execute(DAYS, {"filter": {"period": period}}, await rig.viewer(HR))
    assert (answer.data, answer.code) == (None, "BAD_USER_INPUT")


async def test_my_team_and_another_manager(rig: Rig) -> None:
    scope = {"myTeam": True, "managerId": encode_id("Employee", 1)}
    answer = await rig.execute(PEOPLE, {"filter": {"scope": scope}}, await rig.viewer(MANAGER))
    assert answer.message == "filter.scope: needed one of myTeam and managerId, got both with different managers"


async def test_no_period_is_endless_for_one_employee(rig: Rig) -> None:
    query = """{ employee(employeeNo: "E001") {
      attendance(period: { range: { from: "2025-01-01", to: "2026-03-01" } }) { id } } }"""
    answer = await rig.execute(query, viewer=await rig.viewer(HR))
    assert answer.message == "period.range: needed at most 400 days, got 425; ask for a shorter range"


COUNT = "query($f: AttendanceFilter!) { attendance(filter: $f) { totalCount } }"
MEANT = {
    "2026-02-30": "needed a date like 2026-03-17, got '2026-02-30'",
    5: "needed a date like 2026-03-17, got '5'",
}


@pytest.mark.parametrize("wrong", MEANT)
async def test_a_value_that_is_none_of_its_scalar_says_where_and_what_was_needed(rig: Rig, wrong: Any) -> None:
    hr = await rig.viewer(HR)
    given = await rig.execute(COUNT, {"f": days("2026-02-01", wrong)["filter"]}, hr)
    assert given.message == f"Variable '$f' has invalid value at .period.range.to: {MEANT[wrong]}"
    literal = f'"{wrong}"' if isinstance(wrong, str) else wrong
    query = (
        f'{{ attendance(filter: {{ period: {{ range: {{ from: "2026-02-01", to: {literal} }} }} }}) {{ totalCount }} }}'
    )
    [error] = (await rig.execute(query, None, hr)).errors
    assert (error["message"], error["locations"]) == (
        MEANT[wrong],
        [{"line": 1, "column": query.index(f"to: {literal}") + 5}],
    )
