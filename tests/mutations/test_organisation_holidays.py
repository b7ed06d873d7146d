"""saveHoliday and removeHoliday: the days of whoever belongs to the location then follow at once."""

import asyncio
from datetime import date
from typing import Any

import pytest

from db.locations import holiday_on
from domain.enums import Role
from domain.permission import Grant
from loaders.unit_of_work import unit_of_work
from tests.kit.rig import Rig
from tests.kit.rows import Rows
from tests.kit.small_company import (
    ADMIN,
    BERLIN,
    EMPLOYEE,
    GRACE,
    HR,
    HR_OPERATIONS,
    MANAGER,
    MUMBAI,
    NEW_YORK,
    PAYROLL_MUMBAI,
)
from tests.mutations.changing import PROBLEMS, change, employee, location, problem, refused, waits

HOLIDAY = "holiday { date name half optional } recomputedDays"
BOTH = """query($e: ID!, $l: ID!) {
  attendanceDay(employeeId: $e, date: "2026-03-16") { dayType status }
  employee(id: $e) { schedule(period: {range: {from: "2026-03-16", to: "2026-03-16"}}) { dayType } }
  node(id: $l) { ... on Location { holidays(year: 2026) { name half } } }
  stats(filter: {period: {range: {from: "2026-03-16", to: "2026-03-16"}}}) { totals { presentDays offDays } } }"""


async def remove(rig: Rig, place: str, day: str, user: str = HR) -> Any:
    query = f"""mutation($l: ID!, $d: Date!) {{ removeHoliday(locationId: $l, date: $d) {{
      holiday {{ name }} recomputedDays {PROBLEMS} }} }}"""
    return (await rig.data(query, {"l": place, "d": day}, await rig.viewer(user)))["removeHoliday"]


async def seen(rig: Rig) -> Any:
    keys = {"e": employee(GRACE), "l": location(MUMBAI)}
    found = await rig.data(BOTH, keys, await rig.viewer(HR))
    day, totals = found["attendanceDay"], found["stats"]["totals"]
    return (
        (day["dayType"], day["status"], found["employee"]["schedule"][0]["dayType"]),
        [holiday["name"] for holiday in found["node"]["holidays"]],
        (totals["presentDays"], totals["offDays"]),
    )


async def test_a_holiday_makes_the_day_free_and_its_removal_makes_it_work_again(fresh_rig: Rig) -> None:
    usual = (("WORKING", "PRESENT", "WORKING"), ["Holi", "Gudi Padwa"], (8.0, 1.0))
    assert await seen(fresh_rig) == usual
    saved = await change(fresh_rig, "saveHoliday", HOLIDAY, locationId=location(MUMBAI), date="2026-03-16", name="Rain")
    holiday = {"date": "2026-03-16", "name": "Rain", "half": None, "optional": False}
    assert saved == {"holiday": holiday, "recomputedDays": 7, "userErrors": []}
    assert await seen(fresh_rig) == (("HOLIDAY", "HOLIDAY", "HOLIDAY"), ["Holi", "Rain", "Gudi Padwa"], (4.0, 7.0))

    removed = await remove(fresh_rig, location(MUMBAI), "2026-03-16")
    assert removed == {"holiday": {"name": "Rain"}, "recomputedDays": 7, "userErrors": []}
    assert await seen(fresh_rig) == usual


async def test_a_date_to_come_has_no_days(fresh_rig: Rig) -> None:
    input_ = {"locationId": location(MUMBAI), "date": "2026-03-25", "name": "Ugadi", "half": "SECOND", "optional": True}
    saved = await change(fresh_rig, "saveHoliday", HOLIDAY, **input_)
    holiday = {"date": "2026-03-25", "name": "Ugadi", "half": "SECOND", "optional": True}
    assert saved == {"holiday": holiday, "recomputedDays": 0, "userErrors": []}
    assert (await remove(fresh_rig, location(MUMBAI), "2026-03-25"))["recomputedDays"] == 0


async def test_a_half_left_out_stays_and_null_makes_the_whole_day_free(fresh_rig: Rig) -> None:
    of_berlin = {"locationId": location(BERLIN), "date": "2026-03-06"}
    renamed = await change(fresh_rig, "saveHoliday", HOLIDAY, **of_berlin, name="Stocktaking")
    holiday = {"date": "2026-03-06", "name": "Stocktaking", "half": "SECOND", "optional": False}
    assert renamed == {"holiday": holiday, "recomputedDays": 3, "userErrors": []}
    assert (await change(fresh_rig, "saveHoliday", HOLIDAY, **of_berlin, name="Stocktaking"))["recomputedDays"] == 0
    whole = await change(fresh_rig, "saveHoliday", HOLIDAY, **of_berlin, name="Stocktaking", half=None)
    assert whole["holiday"] == holiday | {"half": None}
    found = await fresh_rig.records(
        "SELECT DISTINCT day_type::text, off_halves FROM attendance_day"
        " WHERE location_id = 2 AND work_date = '2026-03-06'"
    )
    assert found == [("HOLIDAY", 2)]


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        (
            {"locationId": location(9), "date": "2026-03-16", "name": "X"},
            problem("NOT_FOUND", "input.locationId: there is no such location", "input", "locationId"),
        ),
        (
            {"locationId": employee(1), "date": "2026-03-16", "name": "X"},
            problem(
                "INVALID",
                f"input.locationId: needed the id of a Location, got '{employee(1)}'",
                "input",
                "locationId",
            ),
        ),
        (
            {"locationId": location(1), "date": "2101-01-01", "name": "X"},
            problem(
                "INVALID", "input.date: needed a date from 2000-01-01 to 2100-12-31, got 2101-01-01", "input", "date"
            ),
        ),
        (
            {"locationId": location(1), "date": "2026-03-16", "name": " "},
            problem("INVALID", "input.name: needed a text, got none", "input", "name"),
        ),
        (
            {"locationId": location(1), "date": "2026-03-16", "name": "X", "optional": None},
            problem(
                "INVALID",
                "input.optional: needed true or false, got null; leave it out for false",
                "input",
                "optional",
            ),
        ),
    ],
)
async def test_what_is_wrong_with_a_holiday(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await refused(rig, "saveHoliday", **input) == expected
    assert await rig.records("SELECT count(*) FROM holiday") == [(4,)]


async def test_only_what_is_there_can_be_removed(fresh_rig: Rig) -> None:
    answer = await remove(fresh_rig, location(MUMBAI), "2026-03-16")
    wanted = problem("NOT_FOUND", "date: there is no such holiday of the location", "date")
    assert answer == {"holiday": None, "recomputedDays": 0, "userErrors": [wanted]}
    [found] = (await remove(fresh_rig, location(9), "2026-03-16"))["userErrors"]
    assert found == problem("NOT_FOUND", "locationId: there is no such location", "locationId")


@pytest.mark.parametrize("user", [HR_OPERATIONS, PAYROLL_MUMBAI, MANAGER, EMPLOYEE])
async def test_who_may_not(rig: Rig, user: str) -> None:
    wanted = problem("FORBIDDEN", "needed the role HR for the location, or ADMIN")
    input_ = {"locationId": location(MUMBAI), "date": "2026-03-25", "name": "X"}
    assert await refused(rig, "saveHoliday", user, **input_) == wanted
    assert (await remove(rig, location(MUMBAI), "2026-03-04", user))["userErrors"] == [wanted]


async def test_hr_of_a_location_keeps_its_holidays_and_no_others(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.user("hr.mumbai@rollcall.test", None, Grant(Role.HR, location_id=MUMBAI))
    input_ = {"date": "2026-03-25", "name": "X"}
    for user, place in (("hr.mumbai@rollcall.test", MUMBAI), (ADMIN, NEW_YORK)):
        saved = await change(fresh_rig, "saveHoliday", HOLIDAY, user, **input_, locationId=location(place))
        assert saved["userErrors"] == []
    found = await refused(fresh_rig, "saveHoliday", "hr.mumbai@rollcall.test", **input_, locationId=location(BERLIN))
    wanted = "input.locationId: needed the role HR for this location, or ADMIN"
    assert found == problem("FORBIDDEN", wanted, "input", "locationId")


async def test_of_two_writers_the_later_one_sees_the_holiday_of_the_other(fresh_rig: Rig) -> None:
    """A punch that is handed in while a holiday is being saved is derived with that holiday."""
    day = date(2026, 3, 16)

    async def derived_again() -> None:
        async with unit_of_work(fresh_rig.database, fresh_rig.cache) as later:
            await Rows(later.connection).derive([GRACE], day, day, fresh_rig.clock())

    async with fresh_rig.rows() as rows:
        await rows.holiday(MUMBAI, day, "Rain")
        await rows.derive([GRACE], day, day, fresh_rig.clock())
        later = asyncio.create_task(derived_again())
        assert await waits(fresh_rig, later)
    await later
    async with fresh_rig.database.read() as connection:
        assert (await holiday_on(connection, MUMBAI, day)) is not None
    found = await fresh_rig.records(
        "SELECT day_type::text FROM attendance_day WHERE employee_id = :id AND work_date = '2026-03-16'", id=GRACE
    )
    assert found == [("HOLIDAY",)]
