"""Assigning shifts: where there is room, in the place of others, piece by piece; dry runs; who may."""

import asyncio
from datetime import date
from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    ALAN,
    ALEX,
    ANALYST,
    AUDITOR,
    DAY,
    DEVICE,
    EMPLOYEE,
    FLEX,
    GRACE,
    HR,
    MANAGER,
    MIA,
    NIGHT,
    OMAR,
    PAYROLL_MUMBAI,
    TESS,
)
from tests.mutations.attending import (
    answer,
    check_days,
    contents,
    done,
    employee,
    invalid,
    problem,
    refused,
    shift,
)

ASSIGNED = "SELECT shift_id, valid_from, valid_to, iso_weekdays FROM shift_assignment WHERE employee_id = :who"
SCHEDULE = """query($id: ID!) { employee(id: $id) {
  schedule(period: {range: {from: "2026-03-16", to: "2026-03-17"}}) { shift { code } origin } } }"""


async def assignments(rig: Rig, who: int) -> list[tuple[int, str, str | None, int]]:
    """(shift, first, last, weekdays) of an employee, by date."""
    rows = await rig.records(f"{ASSIGNED} ORDER BY valid_from, iso_weekdays", who=who)
    return [(row[0], f"{row[1]}", None if row[2] is None else f"{row[2]}", row[3]) for row in rows]


def wanted(*who: int, shift_id: int = FLEX, first: str = "2026-03-16", **more: Any) -> dict[str, Any]:
    """An input."""
    return {"employeeIds": [employee(one) for one in who], "shiftId": shift(shift_id), "from": first} | more


async def test_an_assignment_changes_the_days_that_have_begun(fresh_rig: Rig) -> None:
    viewer = await fresh_rig.viewer(HR)
    await fresh_rig.warm(SCHEDULE, {"id": employee(ALEX)}, viewer)
    found = await done(fresh_rig, "assignShift", HR, **wanted(ALEX, GRACE, ALEX, to="2026-03-20"))
    assert found == {"employees": [{"fullName": "Alex Kim"}, {"fullName": "Grace Hopper"}], "recomputedDays": 4}
    assert await assignments(fresh_rig, ALEX) == [(FLEX, "2026-03-16", "2026-03-20", 127)]
    schedule = [{"shift": {"code": "FLEX"}, "origin": "ASSIGNMENT"}] * 2
    assert await fresh_rig.data(SCHEDULE, {"id": employee(ALEX)}, viewer) == {"employee": {"schedule": schedule}}
    sql = "SELECT shift_id, late_minutes FROM attendance_day WHERE employee_id = 5 AND work_date >= '2026-03-16'"
    assert await fresh_rig.records(sql) == [(FLEX, 0), (FLEX, 0)]
    await check_days(fresh_rig)


async def test_one_to_come_derives_nothing(fresh_rig: Rig) -> None:
    before = await contents(fresh_rig)
    found = await done(fresh_rig, "assignShift", HR, **wanted(ALEX, first="2026-03-20", isoWeekdays=[5, 1, 5]))
    assert found["recomputedDays"] == 0
    assert await assignments(fresh_rig, ALEX) == [(FLEX, "2026-03-20", None, 0b10001)]
    after = await contents(fresh_rig)
    assert {name for name in after if after[name] != before.get(name)} == {"shift_assignment"}


async def test_a_dry_run_says_what_it_would_do_and_writes_nothing(fresh_rig: Rig) -> None:
    before = await contents(fresh_rig)
    input_ = wanted(ALEX, first="2026-03-10")
    dry = await done(fresh_rig, "assignShift", HR, **input_, dryRun=True)
    assert await contents(fresh_rig) == before
    assert dry == await done(fresh_rig, "assignShift", HR, **input_)
    assert dry["recomputedDays"] == 8


async def test_others_give_way_piece_by_piece(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.assignment(ALEX, NIGHT, date(2026, 3, 1), date(2026, 3, 31), 0b11111)
        await rows.assignment(ALEX, DAY, date(2026, 3, 12), None, 0b1100000)
        await rows.assignment(GRACE, NIGHT, date(2026, 3, 10), date(2026, 3, 12))
        await rows.derive([ALEX, GRACE], date(2026, 2, 23), date(2026, 3, 17), fresh_rig.clock())
    input_ = wanted(ALEX, GRACE, first="2026-03-10", to="2026-03-20", isoWeekdays=[1, 2, 6])
    overlap = await refused(fresh_rig, "assignShift", HR, **input_)
    tail = "; replaceOverlapping lets it give way"
    where = ("input", "employeeIds")
    assert overlap == [
        problem(
            "Overlap",
            "OVERLAP",
            f"input.employeeIds[1]: has shift NIGHT from 2026-03-10 until 2026-03-12{tail}",
            *where,
            "1",
            **{"with": {"id": shift(NIGHT)}},
        ),
        problem(
            "Overlap",
            "OVERLAP",
            f"input.employeeIds[0]: has shift NIGHT from 2026-03-01 until 2026-03-31{tail}",
            *where,
            "0",
            **{"with": {"id": shift(NIGHT)}},
        ),
        problem(
            "Overlap",
            "OVERLAP",
            f"input.employeeIds[0]: has shift DAY from 2026-03-12 until further notice{tail}",
            *where,
            "0",
            **{"with": {"id": shift(DAY)}},
        ),
    ]
    await done(fresh_rig, "assignShift", HR, **input_, replaceOverlapping=True)
    assert await assignments(fresh_rig, ALEX) == [
        (NIGHT, "2026-03-01", "2026-03-09", 0b11111),
        (NIGHT, "2026-03-10", "2026-03-20", 0b11100),
        (FLEX, "2026-03-10", "2026-03-20", 0b100011),
        (DAY, "2026-03-12", "2026-03-20", 0b1000000),
        (NIGHT, "2026-03-21", "2026-03-31", 0b11111),
        (DAY, "2026-03-21", None, 0b1100000),
    ]
    assert await assignments(fresh_rig, GRACE) == [
        (FLEX, "2026-03-10", "2026-03-20", 0b100011),
        (NIGHT, "2026-03-10", "2026-03-12", 0b1011100),
    ]
    await check_days(fresh_rig)


async def test_of_two_at_once_the_later_one_overlaps(fresh_rig: Rig) -> None:
    found = await asyncio.gather(
        *(answer(fresh_rig, "assignShift", HR, **wanted(ALEX, shift_id=key)) for key in (NIGHT, FLEX))
    )
    assert sorted(payload["recomputedDays"] for payload in found) == [0, 2]
    assert [wrong["code"] for payload in found for wrong in payload["userErrors"]] == ["OVERLAP"]
    assert len(await assignments(fresh_rig, ALEX)) == 1
    await check_days(fresh_rig)


NO_EMPLOYEE = invalid("input.employeeIds[1]: there is no such employee", "input", "employeeIds", "1", code="NOT_FOUND")
FORBIDDEN = problem(
    "Forbidden",
    "FORBIDDEN",
    "input.employeeIds[0]: needed a grant to manage this employee's attendance",
    *("input", "employeeIds", "0"),
    neededRole="MANAGER",
)


@pytest.mark.parametrize(
    ("user", "input_", "wrong"),
    [
        (HR, wanted(ALEX, 99), NO_EMPLOYEE),
        (MANAGER, wanted(ALEX, OMAR), NO_EMPLOYEE),
        (MANAGER, wanted(ALAN), FORBIDDEN),
        (EMPLOYEE, wanted(MIA), FORBIDDEN),
        (AUDITOR, wanted(ALEX), FORBIDDEN),
        (PAYROLL_MUMBAI, wanted(ALEX), FORBIDDEN),
        (HR, wanted(), invalid("input.employeeIds: needed 1 to 1000 employees, got 0", "input", "employeeIds")),
        (
            HR,
            wanted(*range(1, 1002)),
            problem(
                "GenericUserError",
                "TOO_MANY",
                "input.employeeIds: needed 1 to 1000 employees, got 1001",
                "input",
                "employeeIds",
            ),
        ),
        (
            HR,
            wanted(ALEX, shift_id=77),
            invalid("input.shiftId: there is no such shift", "input", "shiftId", code="NOT_FOUND"),
        ),
        (
            HR,
            wanted(ALEX) | {"shiftId": encode_id("Employee", 1)},
            invalid(f"input.shiftId: needed the id of a Shift, got {encode_id('Employee', 1)!r}", "input", "shiftId"),
        ),
        (
            HR,
            wanted(ALEX, to="2026-03-15"),
            invalid("input.to: needed a date from 2026-03-16 to 2100-12-31, got 2026-03-15", "input", "to"),
        ),
        (
            HR,
            wanted(ALEX, first="2025-02-09"),
            invalid("input.from: needed a date from 2025-02-10 to 2100-12-31, got 2025-02-09", "input", "from"),
        ),
        (
            HR,
            wanted(ALEX, isoWeekdays=[0, 8]),
            invalid(
                "input.isoWeekdays: needed numbers from 1 (Monday) to 7 (Sunday), got [0, 8]", "input", "isoWeekdays"
            ),
        ),
        (
            HR,
            wanted(ALEX, isoWeekdays=[]),
            invalid("input.isoWeekdays: needed numbers from 1 (Monday) to 7 (Sunday), got []", "input", "isoWeekdays"),
        ),
    ],
)
async def test_refused(rig: Rig, user: str, input_: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert await refused(rig, "assignShift", user, **input_) == [wrong]


@pytest.mark.parametrize("user", [ANALYST, DEVICE, ADMIN, EMPLOYEE])
async def test_who_sees_nobody(rig: Rig, user: str) -> None:
    [wrong] = await refused(rig, "assignShift", user, **wanted(TESS))
    assert (wrong["code"], wrong["path"]) == ("NOT_FOUND", ["input", "employeeIds", "0"])


async def test_a_manager_assigns_to_whom_they_manage(fresh_rig: Rig) -> None:
    found = await done(fresh_rig, "assignShift", MANAGER, **wanted(ALEX, TESS, MIA))
    assert found["recomputedDays"] == 6
