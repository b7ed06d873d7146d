"""Cached data never crosses viewers: whoever warmed the cache, everyone gets what they get without one."""

from typing import Any

import pytest

from domain.enums import Role
from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EXPIRED,
    GRACE,
    HR,
    HR_OPERATIONS,
    MANAGER,
    OMAR,
    PAYROLL_MUMBAI,
    ZOE,
)

VIEWERS = (HR, AUDITOR, ANALYST, MANAGER, HR_OPERATIONS, PAYROLL_MUMBAI, EMPLOYEE, EXPIRED, DEVICE, ADMIN)
QUERIES = [
    "{ employees { totalCount nodes { fullName email manager { fullName } } } }",
    "{ attendance(filter: { WEEK }) { totalCount totals { headcount } nodes { id employee { fullName } } } }",
    "{ attendance(filter: { WEEK }) { nodes { leaveType { name } punches { note device at { local } } } } }",
    "{ stats(filter: { WEEK }, groupBy: [DEPARTMENT]) { rows { keys { label } metrics { headcount } } } }",
    "{ departments { employees { totalCount nodes { fullName } } stats(WEEK) { headcount workedHours } } }",
    "{ monthGrid(year: 2026, month: 3) { rows { employee { fullName } codes } } }",
    "{ today { inNow totals { headcount } lateNotIn { fullName } exceptionsOpen pendingApprovals } }",
    "{ employees { nodes { summary(WEEK) { workedHours suppressed } reports { totalCount } hiredOn designation } } }",
    "{ stats(filter: { WEEK }, groupBy: [MANAGER]) { rows { keys { label node { __typename } } } } }",
    '{ employee(id: "GRACE") { fullName summary(WEEK) { workedHours } presence { state } } }',
    '{ node(id: "HER_DAY") { id } }',
    "{ me { email roles { role } employee { fullName } } }",
    "{ users { email roles { role } } }",
]
MEANT = {
    "WEEK": 'period: { range: { from: "2026-03-09", to: "2026-03-17" } }',
    "GRACE": encode_id("Employee", GRACE),
    "HER_DAY": encode_id("AttendanceDay", f"{GRACE}:2026-03-16"),
}
TWICE = ("stats", "headcount", "employee_by_id", "stats_of_department")
OFTEN = dict.fromkeys((*TWICE, "employees_below_department", "count_below_department"), 2)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_warm_cache_answers_everyone_as_an_absent_one_does(rig: Rig, query: str) -> None:
    for name, meaning in MEANT.items():
        query = query.replace(name, meaning)

    async def answers() -> list[Any]:
        found = [await rig.execute(query, viewer=await rig.viewer(email), repeats=OFTEN) for email in VIEWERS]
        return [(answer.data, [error["message"] for error in answer.errors]) for answer in found]

    first, warm = await answers(), await answers()
    await rig.uncached()
    alone = await answers()
    assert first == alone
    assert warm == alone
    assert len({str(answer) for answer in alone}) >= 2  # viewers do differ


async def test_a_group_follows_who_is_seen_by_name(fresh_rig: Rig) -> None:
    """Nothing but an employee's manager changes: no day does, and everybody was within the analyst's reach before."""
    both = "both@rollcall.test"
    async with fresh_rig.rows() as rows:
        await rows.user(both, OMAR, Role.ANALYST, Role.MANAGER)
    query = f"""{{ stats(filter: {{ {MEANT["WEEK"]} }}, groupBy: [DEPARTMENT]) {{
      rows {{ keys {{ label }} metrics {{ headcount }} }} }} }}"""

    async def heads() -> dict[str, int]:
        data = await fresh_rig.data(query, viewer=await fresh_rig.viewer(both), repeats={"headcount": 3, "stats": 2})
        return {row["keys"][0]["label"]: row["metrics"]["headcount"] for row in data["stats"]["rows"]}

    of_many_and_of_own = {"Backend": 5, "Gate": 2, "Operations": 1}
    assert [await heads() for _ in ("cold", "warm")] == [of_many_and_of_own] * 2
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE employee SET manager_id = :omar WHERE id = :zoe", omar=OMAR, zoe=ZOE)
    assert await heads() == of_many_and_of_own | {"Lab": 1}
