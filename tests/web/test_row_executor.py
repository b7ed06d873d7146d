"""The executor with a shortcut answers exactly what graphql-core's own way answers, errors included."""

import asyncio
from inspect import isawaitable
from typing import Any

import pytest
import strawberry
from graphql import execute, parse
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from db.rows import DayRow
from domain.enums import DayStatus
from schema.root import api
from tests.kit.rig import Rig
from tests.kit.small_company import HR
from web.row_executor import RowExecutor, columns_of

EMPLOYEES = """{ employees(first: 50) { totalCount pageInfo { hasNextPage endCursor } edges { cursor node {
  id fullName email status employmentType hiredOn leftOn version timeZone department { id name parent { code } }
  location { name holidays(year: 2026) { date name half optional } } manager { fullName }
  presence { state since { instant local zone } } summary(period: {relative: THIS_MONTH}) { headcount workedHours }
  attendance(period: {relative: LAST_7_DAYS}) { id workDate status dayType workMode firstIn { local instant }
    lastOut { local } lateMinutes exceptions overtimeKind presentDays locked shift { name color currentRule { startTime
    expectedMinutes breakPolicy } } } } } } }"""
QUERIES = (
    EMPLOYEES,
    "{ monthGrid(year: 2026, month: 3) { days rows { codes employee { employeeNo } totals { averageFirstIn } } } }",
    "{ stats(filter: {period: {relative: THIS_MONTH}}, groupBy: [DEPARTMENT, STATUS]) { truncated provisional rows {"
    " keys { dimension value label node { __typename ... on Department { code } } } metrics { attendanceRate } } } }",
    "{ today { inNow lateNotIn { fullName } byDepartment { metrics { headcount suppressed } } } me { email roles {"
    " role expiresAt } } }",
    '{ node(id: "RW1wbG95ZWU6MQ") { __typename id ... on Employee { fullName } } a: employee(id: "x") { id } }',
    "query($no: Boolean = false) { employees(first: 1) { nodes { id fullName @include(if: $no) x: fullName } } }",
)


async def answered(executor: Any, rig: Rig, query: str) -> Any:
    made = execute(api._schema, parse(query), context_value=rig.context(await rig.viewer(HR)), executor_class=executor)
    result = await made if isawaitable(made) else made
    return result.formatted


@pytest.mark.parametrize("query", QUERIES)
async def test_both_ways_answer_the_same(rig: Rig, query: str) -> None:
    short = await answered(RowExecutor, rig, query)
    assert short == await answered(StrawberryGraphQLCoreExecutionContext, rig, query)
    assert list(short["data"]) == list((await answered(StrawberryGraphQLCoreExecutionContext, rig, query))["data"])


def test_the_columns_of_a_day_are_read_straight() -> None:
    day: Any = api._schema.type_map["AttendanceDay"]
    columns = columns_of(day)
    assert {"id", "workDate", "status", "exceptions", "lateMinutes", "presentDays"} <= set(columns)
    assert columns["id"].attribute == "global_id"
    assert {"shift", "employee", "firstIn", "punches", "explain"}.isdisjoint(columns)
    assert columns["status"].coerce(DayStatus.PRESENT) == "PRESENT"
    assert {name for name in columns if not hasattr(DayRow, columns[name].attribute)} == set()


@strawberry.type
class Odd:
    big: int
    missing: int
    plain: str
    many: list[int]
    text: str


@strawberry.type
class Query:
    @strawberry.field
    async def odd(self) -> Odd:
        await asyncio.sleep(0)
        return Odd(big=2**40, missing=None, plain="x", many=[1, 2**40], text=5)  # type: ignore[arg-type]


ODD = strawberry.Schema(Query)


@pytest.mark.parametrize("field", ["big", "missing", "plain", "many", "text"])
async def test_what_does_not_fit_is_reported_the_general_way(field: str) -> None:
    found = []
    for executor in (RowExecutor, StrawberryGraphQLCoreExecutionContext):
        made: Any = execute(ODD._schema, parse(f"{{ odd {{ plain {field} }} }}"), executor_class=executor)
        found.append((await made).formatted)
    assert found[0] == found[1]
    assert ("errors" in found[0]) is (field in ("big", "missing", "many"))
