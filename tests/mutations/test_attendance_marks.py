"""Marking days and deriving them again: exact effects, every refusal, all or nothing, retries, dry runs."""

import asyncio
from collections import Counter
from typing import Any

import orjson
import pytest

from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ALAN,
    ALEX,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EVERYBODY,
    GRACE,
    HR,
    LEO,
    MANAGER,
    MIA,
    OMAR,
    PAYROLL_MUMBAI,
    ZOE,
)
from tests.mutations.attending import (
    answer,
    check_days,
    contents,
    day,
    done,
    employee,
    invalid,
    problem,
    recomputed,
    refused,
    seen,
)

STATS = """query($ids: [ID!]) { stats(filter: {period: {range: {from: "2026-03-16", to: "2026-03-16"}},
  scope: {employeeIds: $ids}}) { totals { presentDays absentDays } } }"""
MARCH = {"period": {"range": {"from": "2026-03-01", "to": "2026-03-31"}}}


def item(who: int, date: str = "2026-03-16", status: str = "PRESENT", **more: Any) -> dict[str, Any]:
    """A decision."""
    return {"employeeId": employee(who), "date": date, "status": status} | more


async def test_a_marked_day_is_what_was_decided_until_it_is_decided_again(fresh_rig: Rig) -> None:
    viewer, ids = await fresh_rig.viewer(HR), {"ids": [employee(ADA), employee(MIA)]}
    cold = (await seen(fresh_rig, STATS, ids, viewer))["stats"]["totals"]
    assert cold == {"presentDays": 1.0, "absentDays": 1.0}
    items = [item(MIA, status="HALF_DAY"), item(ADA, workMode="ON_DUTY")]
    found = await done(fresh_rig, "markAttendance", HR, items=items, reason="seen at the fair")
    assert [(d["id"], d["status"], d["workMode"], d["overridden"], d["version"]) for d in found["days"]] == [
        (day(MIA, "2026-03-16"), "HALF_DAY", "ONSITE", True, 2),
        (day(ADA, "2026-03-16"), "PRESENT", "ON_DUTY", True, 2),
    ]
    assert (await seen(fresh_rig, STATS, ids, viewer))["stats"]["totals"] == {"presentDays": 1.5, "absentDays": 0.5}
    sql = "SELECT employee_id, status, work_mode, reason FROM attendance_override ORDER BY 1"
    assert await fresh_rig.records(sql) == [
        (ADA, "PRESENT", "ON_DUTY", "seen at the fair"),
        (MIA, "HALF_DAY", None, "seen at the fair"),
    ]
    await done(fresh_rig, "markAttendance", HR, items=[item(ADA, status="ABSENT", expectedVersion=2)], reason="no")
    assert (await fresh_rig.records(sql))[0] == (ADA, "ABSENT", None, "no")
    await check_days(fresh_rig)


WHERE = ("input", "items", "0")
NO_EMPLOYEE = invalid("input.items[0].employeeId: there is no such employee", *WHERE, "employeeId", code="NOT_FOUND")
FORBIDDEN = problem(
    "Forbidden",
    "FORBIDDEN",
    "input.items[0].employeeId: needed a grant to manage this employee's attendance",
    *WHERE,
    "employeeId",
    neededRole="MANAGER",
)
STATUSES = "needed one of PRESENT, HALF_DAY, ABSENT, ON_LEAVE, WEEKLY_OFF, HOLIDAY"


@pytest.mark.parametrize(
    ("user", "marked", "wrong"),
    [
        (HR, item(99), NO_EMPLOYEE),
        (EMPLOYEE, item(ALEX), NO_EMPLOYEE),
        (EMPLOYEE, item(MIA), FORBIDDEN),
        (MANAGER, item(ALAN), FORBIDDEN),
        (MANAGER, item(OMAR), NO_EMPLOYEE),
        (ANALYST, item(ALEX), NO_EMPLOYEE),
        (DEVICE, item(ALEX), NO_EMPLOYEE),
        (ADMIN, item(ALEX), NO_EMPLOYEE),
        (AUDITOR, item(ALEX), FORBIDDEN),
        (PAYROLL_MUMBAI, item(ALEX), FORBIDDEN),
        (
            HR,
            item(ALEX, status="PENDING"),
            invalid(f"input.items[0].status: {STATUSES}, got PENDING", *WHERE, "status"),
        ),
        (
            HR,
            item(ALEX, status="INCOMPLETE"),
            invalid(f"input.items[0].status: {STATUSES}, got INCOMPLETE", *WHERE, "status"),
        ),
        (
            HR,
            item(ALEX, "2026-03-18"),
            invalid(
                "input.items[0].date: needed a date that has come, got 2026-03-18", *WHERE, "date", code="FUTURE_TIME"
            ),
        ),
        (
            HR,
            item(LEO, "2026-03-09"),
            invalid("input.items[0].date: the employee has no day on 2026-03-09: not employed then", *WHERE, "date"),
        ),
        (
            HR,
            item(ALEX, expectedVersion=7),
            problem(
                "Conflict",
                "CONFLICT",
                "input.items[0].expectedVersion: somebody changed it meanwhile: expected version 7, it is 1; "
                "read it again",
                *WHERE,
                "expectedVersion",
                current={"id": day(ALEX, "2026-03-16")},
                currentVersion=1,
            ),
        ),
    ],
)
async def test_refused_items(rig: Rig, user: str, marked: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert await refused(rig, "markAttendance", user, items=[marked], reason="why") == [wrong]
    # one wrong item keeps the other from being written, unless that is asked for
    if wrong["__typename"] == "Conflict":
        both = await refused(rig, "markAttendance", user, items=[marked, item(GRACE)], reason="why")
        assert both == [wrong]


async def test_many_items_are_a_few_statements(fresh_rig: Rig) -> None:
    query = "mutation($input: MarkAttendanceInput!) { markAttendance(input: $input) { days { status } } }"
    found = {}
    for people in (EVERYBODY[:2], EVERYBODY[:11]):
        input_ = {"items": [item(who, status="HALF_DAY") for who in people], "reason": "storm"}
        answered = await fresh_rig.execute(query, {"input": input_}, await fresh_rig.viewer(HR))
        assert len(answered.data["markAttendance"]["days"]) == len(people)
        found[len(people)] = Counter(answered.sql)
    assert found[2] == found[11]
    assert found[11]["employee_by_id"] == 1


async def test_refused_as_a_whole(rig: Rig) -> None:
    async def found(items: list[Any], reason: str = "why", **more: Any) -> Any:
        return await refused(rig, "markAttendance", HR, items=items, reason=reason, **more)

    assert await found([item(ALEX)], " ") == [invalid("input.reason: needed a text, got none", "input", "reason")]
    assert await found([item(ALEX)], "x" * 501) == [
        invalid("input.reason: needed at most 500 characters, got 501", "input", "reason")
    ]
    assert await found([]) == [invalid("input.items: needed 1 to 500 items, got 0", "input", "items")]
    assert await found([item(ALEX)] * 501) == [
        problem("GenericUserError", "TOO_MANY", "input.items: needed 1 to 500 items, got 501", "input", "items")
    ]
    assert await found([item(ALEX), item(ALEX, status="ABSENT")]) == [
        invalid("input.items[1]: names the same day as item 0", "input", "items", "1")
    ]
    assert await found([item(ALEX)], idempotencyKey="") == [
        invalid("input.idempotencyKey: needed 1 to 200 characters, got 0", "input", "idempotencyKey")
    ]


async def test_a_locked_day_stays(fresh_rig: Rig) -> None:
    """Neither a decision nor a recompute moves it, and punches of other days are none of its business."""
    async with fresh_rig.rows() as rows:
        sql = "UPDATE attendance_day SET locked = true WHERE employee_id = 5 AND work_date = '2026-03-16'"
        await rows.run(f"{sql} RETURNING version")
    locked = problem(
        "GenericUserError", "PERIOD_LOCKED", "input.items[0].date: its pay period is locked", *WHERE, "date"
    )
    assert await refused(fresh_rig, "markAttendance", HR, items=[item(ALEX)], reason="why") == [locked]
    before = await contents(fresh_rig)
    late = await done(fresh_rig, "checkOut", HR, employeeId=employee(GRACE), at="2026-03-17T04:00:00Z")
    assert late["punch"]["direction"] == "OUT"
    assert (await recomputed(fresh_rig, HR, MARCH))["changed"] == 0
    after = await contents(fresh_rig)
    assert len(after["punch"]) == len(before["punch"]) + 1
    assert [row for row in after["attendance_day"] if row.startswith("(5,2026-03-16,")] == [
        row for row in before["attendance_day"] if row.startswith("(5,2026-03-16,")
    ]


async def test_what_can_be_written_is_written_when_asked(fresh_rig: Rig) -> None:
    input_ = {
        "items": [item(99), item(GRACE), item(ALEX, expectedVersion=9), item(MIA, status="ABSENT")],
        "reason": "why",
        "allOrNothing": False,
        "idempotencyKey": "k",
    }
    found = await answer(fresh_rig, "markAttendance", HR, **input_)
    assert [d["id"] for d in found["days"]] == [day(GRACE, "2026-03-16"), day(MIA, "2026-03-16")]
    assert [(wrong["code"], wrong["path"][2]) for wrong in found["userErrors"]] == [
        ("NOT_FOUND", "0"),
        ("CONFLICT", "2"),
    ]
    conflict = found["userErrors"][1]
    assert (conflict["current"], conflict["currentVersion"]) == ({"id": day(ALEX, "2026-03-16")}, 1)
    before = await contents(fresh_rig)
    assert orjson.dumps(await answer(fresh_rig, "markAttendance", HR, **input_)) == orjson.dumps(found)
    assert await contents(fresh_rig) == before
    input_["items"] = input_["items"][1:]
    assert await refused(fresh_rig, "markAttendance", HR, **input_) == [
        problem(
            "GenericUserError",
            "IDEMPOTENCY_MISMATCH",
            "input.idempotencyKey: was used for another request; repeat that one, or use another key",
            "input",
            "idempotencyKey",
        )
    ]


async def test_of_two_who_looked_at_the_same_version_one_decides(fresh_rig: Rig) -> None:
    found = await asyncio.gather(
        *(
            answer(
                fresh_rig,
                "markAttendance",
                HR,
                items=[item(ALEX, status=status, expectedVersion=1)],
                reason="why",
            )
            for status in ("ABSENT", "HALF_DAY")
        )
    )
    assert sorted(len(payload["days"]) for payload in found) == [0, 1]
    [conflict] = [wrong for payload in found for wrong in payload["userErrors"]]
    assert (conflict["code"], conflict["currentVersion"]) == ("CONFLICT", 2)


@pytest.mark.parametrize(("user", "who"), [(MANAGER, ALEX), (MANAGER, GRACE), (HR, ZOE)])
async def test_within_reach(fresh_rig: Rig, user: str, who: int) -> None:
    found = await done(fresh_rig, "markAttendance", user, items=[item(who, status="ABSENT")], reason="why")
    assert [d["status"] for d in found["days"]] == ["ABSENT"]


# --------------------------------------------------------------------------------------------------------- recomputing


async def spoil(rig: Rig) -> None:
    """Write a day that its punches do not give, past everything that knows better."""
    async with rig.rows() as rows:
        sql = "UPDATE attendance_day SET worked_minutes = 1 WHERE employee_id = 5 AND work_date = '2026-03-16'"
        await rows.run(f"{sql} RETURNING version")


async def test_recomputing_puts_days_right_unless_it_is_a_dry_run(fresh_rig: Rig) -> None:
    nothing = {"changed": 0, "sample": [], "userErrors": []}
    [(known,)] = await fresh_rig.records("SELECT count(*) FROM attendance_day WHERE work_date >= '2026-03-01'")
    assert await recomputed(fresh_rig, HR, MARCH) == {"days": known} | nothing
    await spoil(fresh_rig)
    before = await contents(fresh_rig)
    dry = await recomputed(fresh_rig, HR, MARCH, dry_run=None)
    assert await contents(fresh_rig) == before
    assert (dry["days"], dry["changed"]) == (known, 1)
    assert [(d["id"], d["workedMinutes"], d["version"]) for d in dry["sample"]] == [(day(ALEX, "2026-03-16"), 460, 2)]
    assert await recomputed(fresh_rig, HR, MARCH) == dry
    assert await recomputed(fresh_rig, HR, MARCH) == {"days": known} | nothing
    await check_days(fresh_rig)


async def test_a_manager_recomputes_whom_they_manage(fresh_rig: Rig) -> None:
    scope = MARCH | {"scope": {"employeeIds": [employee(OMAR), employee(ALEX)]}}
    [(of_alex,)] = await fresh_rig.records(
        "SELECT count(*) FROM attendance_day WHERE work_date >= '2026-03-01' AND employee_id = 5"
    )
    assert (await recomputed(fresh_rig, MANAGER, scope))["days"] == of_alex


@pytest.mark.parametrize("user", [EMPLOYEE, ANALYST, AUDITOR, PAYROLL_MUMBAI, DEVICE, ADMIN])
async def test_who_recomputes_nothing(rig: Rig, user: str) -> None:
    wrong = problem("Forbidden", "FORBIDDEN", "needed a grant to manage attendance", neededRole="MANAGER")
    assert await recomputed(rig, user, MARCH) == {"days": 0, "changed": 0, "sample": [], "userErrors": [wrong]}


async def test_periods_that_cannot_be_recomputed(rig: Rig) -> None:
    reversed_ = {"period": {"range": {"from": "2026-03-02", "to": "2026-03-01"}}}
    assert (await recomputed(rig, HR, reversed_))["userErrors"] == [
        invalid(
            "filter.period.range.to: needed a date not before `from` (2026-03-02), got 2026-03-01",
            *("filter", "period", "range", "to"),
        )
    ]
    to_come = {"period": {"range": {"from": "2026-03-19", "to": "2026-03-31"}}}
    assert (await recomputed(rig, HR, to_come)) == {"days": 0, "changed": 0, "sample": [], "userErrors": []}
