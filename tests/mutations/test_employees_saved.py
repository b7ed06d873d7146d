"""Adding and changing employees: places on a date, default shifts from today; what is refused stands apart."""

import asyncio
from datetime import UTC, datetime

import pytest

from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ALAN,
    ALEX,
    BACKEND,
    BERLIN,
    DAY,
    FRONTEND,
    GATE,
    GRACE,
    HR,
    HR_OPERATIONS,
    INES,
    LEO,
    MIA,
    NEW_YORK,
    NIGHT,
    TESS,
    ZOE,
)
from tests.mutations.attending import (
    answer,
    check_days,
    contents,
    done,
    employee,
    invalid,
    refused,
    seen,
    shift,
)
from tests.mutations.changing import department, location, new_employee

LIST = """query($id: ID!) { employees(filter: {scope: {departmentIds: [$id], includeSubdepartments: false}}) {
  totalCount nodes { fullName } } }"""
POSTINGS = "SELECT valid_from, valid_to, department_id FROM employee_posting WHERE employee_id = :who ORDER BY 1"


async def people(rig: Rig, key: int) -> list[str]:
    """The names in a department, from a list that the cache may have."""
    found = (await seen(rig, LIST, {"id": department(key)}, await rig.viewer(HR)))["employees"]
    names = [node["fullName"] for node in found["nodes"]]
    assert found["totalCount"] == len(names)
    return names


async def postings(rig: Rig, who: int) -> list[tuple[str, str | None, int]]:
    """(first, last, department) of an employee."""
    rows = await rig.records(POSTINGS, who=who)
    return [(f"{first}", None if last is None else f"{last}", key) for first, last, key in rows]


@pytest.mark.parametrize("cached", [True, False])
async def test_a_new_employee_is_in_every_list_with_days_since_hiring(fresh_rig: Rig, cached: bool) -> None:
    if not cached:
        await fresh_rig.uncached()
    before = await people(fresh_rig, BACKEND)
    found = await done(
        fresh_rig,
        "saveEmployee",
        HR,
        **new_employee(email="noor@rollcall.test", badgeNo="B-9", designation="Tester", managerId=employee(GRACE)),
        defaultShiftId=shift(DAY),
    )
    assert found["employee"] == {
        "employeeNo": "N1",
        "fullName": "Noor New",
        "email": "noor@rollcall.test",
        "badgeNo": "B-9",
        "status": "ACTIVE",
        "designation": "Tester",
        "hiredOn": "2026-03-13",
        "leftOn": None,
        "version": 1,
        "department": {"code": "BACK"},
        "location": {"code": "MUM"},
        "manager": {"fullName": "Grace Hopper"},
    }
    assert await people(fresh_rig, BACKEND) == sorted([*before, "Noor New"])
    assert await postings(fresh_rig, 15) == [("2026-03-13", None, BACKEND)]
    sql = "SELECT CAST(work_date AS text), status FROM attendance_day WHERE employee_id = 15 ORDER BY 1"
    assert await fresh_rig.records(sql) == [
        ("2026-03-13", "ABSENT"),
        ("2026-03-14", "WEEKLY_OFF"),
        ("2026-03-15", "WEEKLY_OFF"),
        ("2026-03-16", "ABSENT"),
        ("2026-03-17", "PENDING"),
    ]
    await check_days(fresh_rig)


async def test_somebody_hired_long_ago_begins_today(fresh_rig: Rig) -> None:
    await done(fresh_rig, "saveEmployee", HR, **new_employee(hiredOn="2019-01-01"), defaultShiftId=shift(DAY))
    sql = "SELECT CAST(work_date AS text) FROM attendance_day WHERE employee_id = 15"
    assert await fresh_rig.records(sql) == [("2026-03-17",)]


@pytest.mark.parametrize("cached", [True, False])
async def test_a_move_leaves_one_list_and_enters_the_other(fresh_rig: Rig, cached: bool) -> None:
    if not cached:
        await fresh_rig.uncached()
    assert "Grace Hopper" in await people(fresh_rig, BACKEND)
    there = await people(fresh_rig, FRONTEND)
    move = {"id": employee(GRACE), "departmentId": department(FRONTEND), "expectedVersion": 1}
    found = await done(fresh_rig, "saveEmployee", HR, **move)
    assert (found["employee"]["department"], found["employee"]["version"]) == ({"code": "FRONT"}, 2)
    assert "Grace Hopper" not in await people(fresh_rig, BACKEND)
    assert await people(fresh_rig, FRONTEND) == sorted([*there, "Grace Hopper"])
    assert await postings(fresh_rig, GRACE) == [
        ("2025-01-01", "2026-03-16", BACKEND),
        ("2026-03-17", None, FRONTEND),
    ]
    sql = "SELECT department_id, version FROM attendance_day WHERE employee_id = 3 AND work_date >= '2026-03-16'"
    assert await fresh_rig.records(f"{sql} ORDER BY work_date") == [(BACKEND, 1), (FRONTEND, 2)]
    await check_days(fresh_rig)


async def test_a_move_to_come_is_planned_and_one_before_it_refused(fresh_rig: Rig) -> None:
    move = {"id": employee(GRACE), "departmentId": department(FRONTEND)}
    found = await done(fresh_rig, "saveEmployee", HR, **move, effectiveFrom="2026-04-01")
    assert found["employee"]["department"] == {"code": "BACK"}
    assert await postings(fresh_rig, GRACE) == [
        ("2025-01-01", "2026-03-31", BACKEND),
        ("2026-04-01", None, FRONTEND),
    ]
    wrong = invalid(
        "input.effectiveFrom: the place changes on 2026-04-01 already: choose it, to replace that change, "
        "or a date after it; cancelPlanned drops what is planned",
        *("input", "effectiveFrom"),
    )
    assert await refused(fresh_rig, "saveEmployee", HR, **move, effectiveFrom="2026-03-20") == [wrong]
    await done(fresh_rig, "saveEmployee", HR, id=move["id"], departmentId=department(GATE), effectiveFrom="2026-04-01")
    assert (await postings(fresh_rig, GRACE))[1] == ("2026-04-01", None, GATE)
    await check_days(fresh_rig)


PLANS = """SELECT CAST(valid_from AS text), CAST(valid_to AS text), department_id, manager_id FROM employee_posting
  WHERE employee_id = 3 ORDER BY valid_from"""
NOW_HERE = ("2025-01-01", None, BACKEND, ALAN)


async def test_a_planned_move_is_changed_piece_by_piece_and_cancelled_by_the_place_before_it(fresh_rig: Rig) -> None:
    on = {"id": employee(GRACE), "effectiveFrom": "2026-04-01"}
    await done(fresh_rig, "saveEmployee", HR, **on, departmentId=department(FRONTEND))
    await done(fresh_rig, "saveEmployee", HR, **on, managerId=employee(ADA))
    before = ("2025-01-01", "2026-03-31", BACKEND, ALAN)
    assert await fresh_rig.records(PLANS) == [before, ("2026-04-01", None, FRONTEND, ADA)]
    # a later plan goes on from the plan before it, not from today
    later = {"id": employee(GRACE), "effectiveFrom": "2026-05-01"}
    await done(fresh_rig, "saveEmployee", HR, **later, managerId=employee(MIA))
    planned = ("2026-04-01", "2026-04-30", FRONTEND, ADA)
    assert await fresh_rig.records(PLANS) == [before, planned, ("2026-05-01", None, FRONTEND, MIA)]
    await done(fresh_rig, "saveEmployee", HR, **later, managerId=employee(ADA))
    assert await fresh_rig.records(PLANS) == [before, ("2026-04-01", None, FRONTEND, ADA)]
    back = await done(fresh_rig, "saveEmployee", HR, **on, departmentId=department(BACKEND), managerId=employee(ALAN))
    assert (back["employee"]["department"], back["employee"]["manager"]) == (
        {"code": "BACK"},
        {"fullName": "Alan Turing"},
    )
    assert await fresh_rig.records(PLANS) == [NOW_HERE]
    nothing = invalid(
        "input.effectiveFrom: needs a new department, location or manager beside it", "input", "effectiveFrom"
    )
    assert await refused(fresh_rig, "saveEmployee", HR, **on, departmentId=department(BACKEND)) == [nothing]
    await check_days(fresh_rig)


async def test_what_is_planned_is_dropped_when_asked_and_the_past_stays(fresh_rig: Rig) -> None:
    ines = {"id": employee(INES)}
    for date, key in (("2026-04-01", GATE), ("2026-05-01", FRONTEND)):
        await done(fresh_rig, "saveEmployee", HR, **ines, departmentId=department(key), effectiveFrom=date)
    past = [("2025-01-01", "2026-03-08", FRONTEND), ("2026-03-09", "2026-03-31", BACKEND)]
    assert (await postings(fresh_rig, INES))[:2] == past
    moved = await done(fresh_rig, "saveEmployee", HR, **ines, departmentId=department(GATE), cancelPlanned=True)
    assert moved["employee"]["department"] == {"code": "GATE"}
    now = [past[0], ("2026-03-09", "2026-03-16", BACKEND), ("2026-03-17", None, GATE)]
    assert await postings(fresh_rig, INES) == now
    await done(fresh_rig, "saveEmployee", HR, **ines, cancelPlanned=True)  # nothing is planned, so nothing changes
    assert await postings(fresh_rig, INES) == now
    await check_days(fresh_rig)


async def test_a_move_westward_waits_for_midnight_there(fresh_rig: Rig) -> None:
    fresh_rig.clock.now = datetime(2026, 3, 16, 22, tzinfo=UTC)  # the 17th in Mumbai, the 16th in New York
    found = await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), locationId=location(NEW_YORK))
    assert found["employee"]["location"] == {"code": "NYC"}
    assert [first for first, *_ in await postings(fresh_rig, ALEX)] == ["2025-01-01", "2026-03-16"]


async def test_a_new_default_shift_keeps_the_past(fresh_rig: Rig) -> None:
    sql = "SELECT work_date, shift_id, version FROM attendance_day WHERE employee_id = 5 AND work_date < '2026-03-17'"
    past = await fresh_rig.records(f"{sql} ORDER BY 1")
    async with fresh_rig.rows() as rows:
        await rows.run(
            "INSERT INTO shift_assignment (employee_id, shift_id, valid_from, valid_to) "
            "VALUES (5, 1, '2025-02-01', '2025-02-28') RETURNING id"
        )
    await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), defaultShiftId=shift(NIGHT))
    assert await fresh_rig.records(f"{sql} ORDER BY 1") == past
    today = "SELECT shift_id FROM attendance_day WHERE employee_id = 5 AND work_date = '2026-03-17'"
    assert await fresh_rig.records(today) == [(NIGHT,)]
    kept = "SELECT CAST(valid_from AS text), CAST(valid_to AS text), shift_id FROM shift_assignment ORDER BY 1"
    assert await fresh_rig.records(kept) == [
        ("2025-01-01", "2025-01-31", DAY),
        ("2025-02-01", "2025-02-28", DAY),
        ("2025-03-01", "2026-03-16", DAY),
    ]
    await check_days(fresh_rig)


async def test_a_first_default_shift_counts_from_the_beginning(fresh_rig: Rig) -> None:
    await done(fresh_rig, "saveEmployee", HR, id=employee(TESS), defaultShiftId=shift(DAY))
    sql = "SELECT status, shift_id FROM attendance_day WHERE employee_id = 14 ORDER BY work_date"
    assert await fresh_rig.records(sql) == [("ABSENT", DAY), ("PENDING", DAY)]
    await check_days(fresh_rig)


async def test_leaving_and_coming_back(fresh_rig: Rig) -> None:
    count = "SELECT count(*) FROM attendance_day WHERE employee_id = 5"
    [(before,)] = await fresh_rig.records(count)
    gone = await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), leftOn="2026-03-13")
    assert (gone["employee"]["status"], gone["employee"]["leftOn"]) == ("TERMINATED", "2026-03-13")
    assert await fresh_rig.records(count) == [(before - 4,)]
    back = await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), leftOn=None)
    assert (back["employee"]["status"], back["employee"]["leftOn"]) == ("ACTIVE", None)
    assert await fresh_rig.records(count) == [(before,)]
    await check_days(fresh_rig)


async def test_an_earlier_hiring_makes_up_no_days_before_the_first_known_one(fresh_rig: Rig) -> None:
    sql = "SELECT min(work_date), count(*) FROM attendance_day WHERE employee_id = 5"
    before = await fresh_rig.records(sql)
    await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), hiredOn="2024-06-01")
    assert await fresh_rig.records(sql) == before
    assert (await postings(fresh_rig, ALEX))[0][0] == "2024-06-01"
    await done(fresh_rig, "saveEmployee", HR, id=employee(TESS), hiredOn="2026-03-12")
    sql = "SELECT CAST(min(work_date) AS text), count(*) FROM attendance_day WHERE employee_id = 14"
    assert await fresh_rig.records(sql) == [("2026-03-12", 6)]


async def test_other_fields_leave_a_suspended_employee_suspended(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE employee SET status = 'SUSPENDED' WHERE id = 5 RETURNING id")
    found = await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), fullName="Alex K.", email=None)
    assert (found["employee"]["status"], found["employee"]["fullName"]) == ("SUSPENDED", "Alex K.")


async def test_two_who_close_a_circle_between_them(fresh_rig: Rig) -> None:
    found = await asyncio.gather(
        answer(fresh_rig, "saveEmployee", HR, id=employee(GRACE), managerId=employee(ZOE)),
        answer(fresh_rig, "saveEmployee", HR, id=employee(ZOE), managerId=employee(GRACE)),
    )
    [wrong] = [wrong for payload in found for wrong in payload["userErrors"]]
    assert (wrong["code"], wrong["path"]) == ("INVALID", ["input", "managerId"])


async def test_hr_of_a_department_saves_within_it(fresh_rig: Rig) -> None:
    inside = new_employee(departmentId=department(GATE), locationId=location(BERLIN))
    found = await done(fresh_rig, "saveEmployee", HR_OPERATIONS, **inside)
    assert found["employee"]["department"] == {"code": "GATE"}
    before = await contents(fresh_rig)
    assert (await done(fresh_rig, "saveEmployee", HR, id=employee(LEO)))["employee"]["status"] == "TERMINATED"
    after = await contents(fresh_rig)
    assert {name for name in after if after[name] != before.get(name)} == {"employee"}
