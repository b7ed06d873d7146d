"""Locked days: a punch that would change one is refused whole, and one of a device is kept and told."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest

from domain.enums import PunchDirection
from tests.kit.rig import Rig
from tests.kit.small_company import ALEX, DEVICE, GRACE, HR, NINA
from tests.mutations.attending import answer, check_days, contents, day, done, employee, problem, refused, voided
from tests.mutations.test_attendance_voids import punch_of


async def lock(rig: Rig, who: int, on: str) -> None:
    """Lock a day."""
    async with rig.rows() as rows:
        sql = (
            "UPDATE attendance_day SET locked = true WHERE employee_id = :who AND work_date = CAST(:day AS text)::date"
        )
        await rows.run(f"{sql} RETURNING work_date", who=who, day=on)


def locked(on: str, *path: str) -> dict[str, Any]:
    """What is said of a locked day."""
    told = f"{'.'.join(path)}: the day {on} is locked with its pay period"
    return problem("GenericUserError", "PERIOD_LOCKED", told, *path)


@pytest.mark.parametrize(
    ("field", "who", "on", "more"),
    [
        ("checkIn", ALEX, "2026-03-17", {}),
        ("checkOut", GRACE, "2026-03-17", {}),
        ("checkIn", ALEX, "2026-03-16", {"at": "2026-03-16T02:00:00Z"}),  # 07:30, in its window
        ("checkIn", ALEX, "2026-03-16", {"at": "2026-03-16T18:00:00Z"}),  # 23:30, in none: its date is locked
        ("checkOut", NINA, "2026-03-16", {}),  # last night's session
    ],
)
async def test_a_punch_of_a_locked_day_is_refused(
    fresh_rig: Rig, field: str, who: int, on: str, more: Mapping[str, str]
) -> None:
    await lock(fresh_rig, who, on)
    wrong = locked(on, "input", "at")
    assert await refused(fresh_rig, field, HR, employeeId=employee(who), clientEventId="kept", **more) == [wrong]
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE attendance_day SET locked = false WHERE employee_id = :who RETURNING 1", who=who)
    await done(fresh_rig, field, HR, employeeId=employee(who), clientEventId="kept", **more)
    await check_days(fresh_rig)


async def test_a_locked_day_beside_it_is_no_hindrance(fresh_rig: Rig) -> None:
    """Also when it would come out differently by now."""
    for on in ("2026-03-14", "2026-03-15", "2026-03-16"):
        await lock(fresh_rig, ALEX, on)
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE shift_rule SET end_time = '17:00' RETURNING id")
    found = await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX))
    assert found["day"]["firstIn"] == {"local": "2026-03-17T10:30"}


async def test_a_void_that_gives_an_out_back_to_a_locked_day_is_refused(fresh_rig: Rig) -> None:
    """Without the IN of 07:30 the OUT of 08:00 would close yesterday's session."""
    async with fresh_rig.rows() as rows:
        await rows.punch(GRACE, "2026-03-16T21:00", PunchDirection.IN)
        punch = await rows.punch(GRACE, "2026-03-17T07:30", PunchDirection.IN)
        await rows.punch(GRACE, "2026-03-17T08:00", PunchDirection.OUT)
        await rows.derive([GRACE], date(2026, 3, 16), date(2026, 3, 17), fresh_rig.clock())
    await lock(fresh_rig, GRACE, "2026-03-16")
    found = await voided(fresh_rig, HR, punch)
    assert found["userErrors"] == [locked("2026-03-16", "id")]
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE attendance_day SET locked = false WHERE locked RETURNING 1")
    assert (await voided(fresh_rig, HR, punch))["day"]["id"] == day(GRACE, "2026-03-17")
    last_out = "SELECT CAST(last_out AS text) FROM attendance_day WHERE employee_id = 3 AND work_date = '2026-03-16'"
    assert await fresh_rig.records(last_out) == [("2026-03-17 02:30:00+00",)]
    await check_days(fresh_rig)


async def test_a_punch_of_a_locked_day_is_not_voided(fresh_rig: Rig) -> None:
    await lock(fresh_rig, GRACE, "2026-03-17")
    id_ = await punch_of(fresh_rig, GRACE, "2026-03-17T03:30:00Z")
    before = await contents(fresh_rig)
    found = await voided(fresh_rig, HR, id_)
    wrong = problem("GenericUserError", "PERIOD_LOCKED", "id: the day 2026-03-17 is locked with its pay period", "id")
    assert found == {"punch": None, "day": None, "unattributed": False, "duplicate": False, "userErrors": [wrong]}
    assert await contents(fresh_rig) == before


async def test_a_device_loses_nothing_to_a_lock(fresh_rig: Rig) -> None:
    """Its punches are recorded and told; the locked day stays, and takes them up once it is open again."""
    await lock(fresh_rig, GRACE, "2026-03-16")
    stored = "SELECT CAST(d AS text) FROM attendance_day d WHERE employee_id = 3 AND work_date = '2026-03-16'"
    before = await fresh_rig.records(stored)
    handed_in = [
        {"badgeNo": "B-3", "at": "2026-03-17T04:30:00Z", "direction": "OUT"},
        {"badgeNo": "B-3", "at": "2026-03-16T13:00:00Z", "direction": "OUT"},
        {"badgeNo": "B-3", "at": "2026-03-16T18:00:00Z", "direction": "IN"},
    ]
    found = await answer(fresh_rig, "recordPunches", DEVICE, deviceCode="MUM-1", punches=handed_in)
    told = "recorded, but the day 2026-03-16 is locked with its pay period and stays as it is"
    paths = [("input", "punches", str(index), "at") for index in (1, 2)]
    wrong = [
        problem("GenericUserError", "PERIOD_LOCKED", f"input.punches[{path[2]}].at: {told}", *path) for path in paths
    ]
    assert found == {"accepted": 3, "duplicates": 0, "unmatched": 0, "locked": 2, "userErrors": wrong}
    assert await fresh_rig.records(stored) == before
    again = await answer(fresh_rig, "recordPunches", DEVICE, deviceCode="MUM-1", punches=handed_in)
    assert again == {"accepted": 0, "duplicates": 3, "unmatched": 0, "locked": 0, "userErrors": []}
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE attendance_day SET locked = false RETURNING 1")
    later = {"badgeNo": "B-3", "at": "2026-03-16T13:10:00Z", "direction": "OUT"}
    await done(fresh_rig, "recordPunches", DEVICE, deviceCode="MUM-1", punches=[later])
    last_out = "SELECT CAST(last_out AS text) FROM attendance_day WHERE employee_id = 3 AND work_date = '2026-03-16'"
    assert await fresh_rig.records(last_out) == [("2026-03-16 13:10:00+00",)]
    await check_days(fresh_rig)
