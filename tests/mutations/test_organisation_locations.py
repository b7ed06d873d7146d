"""saveLocation: the work week of a new one, zones and the days that keep theirs, exact problems."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from db.location_writes import knows_zone
from domain.enums import PunchDirection
from jobs.upkeep import upkeep_once
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    BERLIN,
    HR,
    LINUS,
    OTHER_ALEX,
    ZOE,
)
from tests.mutations.attending import check_days, recomputed
from tests.mutations.changing import change, employee, location, problem, refused

SOMEBODY = "input.expectedVersion: somebody changed it meanwhile: expected version 7, it is 1; read it again"


async def test_a_location_gets_the_first_work_week(fresh_rig: Rig) -> None:
    query = "{ locations { code } }"
    await fresh_rig.warm(query, None, await fresh_rig.viewer(HR))
    made = await change(
        fresh_rig,
        "saveLocation",
        "location { id code name timeZone version }",
        code="PAR",
        name="Paris",
        timeZone="Europe/Paris",
    )
    row = {"id": location(4), "code": "PAR", "name": "Paris", "timeZone": "Europe/Paris", "version": 1}
    assert made == {"location": row, "userErrors": []}
    listed = await fresh_rig.data(query, None, await fresh_rig.viewer(HR))
    assert [row["code"] for row in listed["locations"]] == ["BER", "MUM", "NYC", "PAR"]
    assert await fresh_rig.records("SELECT work_week_id FROM location WHERE code = 'PAR'") == [(1,)]


async def test_the_first_location_makes_the_work_week(empty_rig: Rig) -> None:
    async with empty_rig.rows() as rows:
        await rows.user(ADMIN, None, "ADMIN")
    for code in ("ONE", "TWO"):
        await change(empty_rig, "saveLocation", "", ADMIN, code=code, name=code, timeZone="UTC")
    weeks = "SELECT w.code::text, o.iso_weekday, o.weeks_of_month, o.half FROM work_week w JOIN work_week_off o"
    found = await empty_rig.records(f"{weeks} ON o.work_week_id = w.id ORDER BY 2")
    assert found == [("SAT-SUN", 6, 31, None), ("SAT-SUN", 7, 31, None)]
    assert await empty_rig.records("SELECT count(DISTINCT work_week_id), count(*) FROM location") == [(1, 2)]


async def day_of(rig: Rig, key: int, date: str) -> dict[str, Any] | None:
    query = "query($e: ID!, $d: Date!) { attendanceDay(employeeId: $e, date: $d) { status version shift { code } } }"
    found = await rig.data(query, {"e": employee(key), "d": date}, await rig.viewer(HR))
    row = found["attendanceDay"]
    return row and {"status": row["status"], "version": row["version"]}


PLANS = """query($e: ID!) { employee(id: $e) { timeZone
  schedule(period: {range: {from: "2026-03-17", to: "2026-03-17"}}) { startsAt { local instant } } } }"""


async def test_another_zone_derives_today_again(fresh_rig: Rig) -> None:
    viewer, alex = await fresh_rig.viewer(HR), {"e": employee(OTHER_ALEX)}
    plan = (await fresh_rig.warm(PLANS, alex, viewer)).data["employee"]
    assert plan["schedule"][0]["startsAt"]["instant"] == "2026-03-17T08:00:00Z"
    assert await day_of(fresh_rig, OTHER_ALEX, "2026-03-17") == {"status": "PENDING", "version": 1}

    await change(fresh_rig, "saveLocation", id=location(BERLIN), timeZone="Asia/Tokyo")
    plan = (await fresh_rig.data(PLANS, alex, viewer))["employee"]
    start = {"local": "2026-03-17T09:00", "instant": "2026-03-17T00:00:00Z"}
    assert plan == {"timeZone": "Asia/Tokyo", "schedule": [{"startsAt": start}]}
    assert await day_of(fresh_rig, OTHER_ALEX, "2026-03-17") == {"status": "PENDING", "version": 2}
    assert await day_of(fresh_rig, OTHER_ALEX, "2026-03-16") == {"status": "PRESENT", "version": 1}
    assert await day_of(fresh_rig, ZOE, "2026-03-17") == {"status": "PENDING", "version": 1}  # has a zone of her own


BERLIN_UNTIL_15, HONOLULU, TOKYO = (
    ("2026-03-15", "Europe/Berlin"),
    ("2026-03-19", "Pacific/Honolulu"),
    ("2026-03-21", "Asia/Tokyo"),
)
ZONE_CHANGES = (
    # days on, the new zone, its present date, and the zones before it by their last date
    (0, "Pacific/Auckland", 17, [("2026-03-16", "Europe/Berlin")]),
    (0, "Europe/Paris", 17, [("2026-03-16", "Europe/Berlin")]),  # Auckland's was in force on no day
    (0, "Pacific/Honolulu", 16, [BERLIN_UNTIL_15]),  # where it is yesterday
    (3, "Asia/Tokyo", 20, [BERLIN_UNTIL_15, HONOLULU]),
    (2, "America/New_York", 22, [BERLIN_UNTIL_15, HONOLULU, TOKYO]),
    (0, "Pacific/Kiritimati", 22, [BERLIN_UNTIL_15, HONOLULU, TOKYO]),
)


async def test_days_keep_the_zone_that_they_had_however_often_it_changes(fresh_rig: Rig) -> None:
    past = "SELECT CAST(valid_to AS text), time_zone FROM location_past_zone WHERE location_id = 2 ORDER BY 1"
    zones = "SELECT employee_id, work_date, time_zone FROM attendance_day WHERE location_id = 2 AND work_date"
    period = {"period": {"range": {"from": "2026-03-01", "to": "2026-03-31"}}}
    async with fresh_rig.rows() as rows:  # an evening in Berlin, and the morning of the next day in Auckland
        await rows.punch(OTHER_ALEX, datetime(2026, 3, 16, 18, 30, tzinfo=UTC), PunchDirection.IN)
        await rows.derive([OTHER_ALEX], date(2026, 3, 16), date(2026, 3, 17), fresh_rig.clock())
    for days_on, name, day, expected in ZONE_CHANGES:
        fresh_rig.clock.forward(days=days_on)
        while await upkeep_once(fresh_rig.database, fresh_rig.cache, fresh_rig.clock()):
            pass
        today = date(2026, 3, day)
        before = await fresh_rig.records(f"{zones} < :today ORDER BY 1, 2", today=today)
        await change(fresh_rig, "saveLocation", id=location(BERLIN), timeZone=name)
        assert await fresh_rig.records(past) == expected
        assert await fresh_rig.records(f"{zones} < :today ORDER BY 1, 2", today=today) == before
        assert {row[2] for row in await fresh_rig.records(f"{zones} = :today", today=today)} == {name, "Asia/Kolkata"}
        await check_days(fresh_rig)
        assert (await recomputed(fresh_rig, HR, period))["changed"] == 0


async def test_a_past_zone_written_from_outside_is_seen_at_once(fresh_rig: Rig) -> None:
    viewer, alex = await fresh_rig.viewer(HR), {"e": employee(OTHER_ALEX)}
    await fresh_rig.warm(PLANS, alex, viewer)
    async with fresh_rig.rows() as rows:
        await rows.add("location_past_zone", location_id=BERLIN, valid_to=date(2026, 3, 17), time_zone="Asia/Tokyo")
    start = {"local": "2026-03-17T09:00", "instant": "2026-03-17T00:00:00Z"}
    assert (await fresh_rig.data(PLANS, alex, viewer))["employee"] == {
        "timeZone": "Europe/Berlin",
        "schedule": [{"startsAt": start}],
    }


async def test_the_zone_of_a_location_without_days_is_corrected_for_all_time(fresh_rig: Rig) -> None:
    made = await change(fresh_rig, "saveLocation", "location { id }", code="TKY", name="Tokyo", timeZone="Asia/Seoul")
    await change(fresh_rig, "saveLocation", id=made["location"]["id"], timeZone="Asia/Tokyo")
    assert await fresh_rig.records("SELECT * FROM location_past_zone") == []


async def test_where_today_has_not_begun_it_is_gone(fresh_rig: Rig) -> None:
    assert await day_of(fresh_rig, LINUS, "2026-03-17") == {"status": "PENDING", "version": 1}
    await change(fresh_rig, "saveLocation", id=location(BERLIN), timeZone="Pacific/Honolulu")
    assert await day_of(fresh_rig, LINUS, "2026-03-17") is None
    assert await day_of(fresh_rig, OTHER_ALEX, "2026-03-17") is None
    assert await day_of(fresh_rig, ZOE, "2026-03-17") == {"status": "PENDING", "version": 1}
    rows = "SELECT sum(days) FROM attendance_stat WHERE work_date = '2026-03-17'"
    assert await fresh_rig.records(rows) == await fresh_rig.records(
        "SELECT count(*) FROM attendance_day WHERE work_date = '2026-03-17'"
    )


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        (
            {"code": "X", "name": "X"},
            problem(
                "INVALID", "input.timeZone: needed an IANA time zone like Asia/Kolkata, got none", "input", "timeZone"
            ),
        ),
        (
            {"id": location(1), "timeZone": None},
            problem(
                "INVALID", "input.timeZone: needed an IANA time zone like Asia/Kolkata, got none", "input", "timeZone"
            ),
        ),
        (
            {"code": "mum", "name": "X", "timeZone": "UTC"},
            problem(
                "CONFLICT",
                "input.code: another location has the code 'mum' already, in whatever case; choose another",
                "input",
                "code",
                currentVersion=1,
                current={"id": location(1)},
            ),
        ),
        ({"id": location(9)}, problem("NOT_FOUND", "input.id: there is no such location", "input", "id")),
        (
            {"id": location(1), "name": "X", "expectedVersion": 7},
            problem("CONFLICT", SOMEBODY, "input", "expectedVersion", currentVersion=1, current={"id": location(1)}),
        ),
    ],
)
async def test_what_is_wrong_with_a_location(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await refused(rig, "saveLocation", **input) == expected
    assert await rig.records("SELECT count(*), sum(version) FROM location") == [(3, 3)]


async def test_an_unknown_zone_is_named(fresh_rig: Rig) -> None:
    query = 'mutation { saveLocation(input: {code: "X", name: "X", timeZone: "Mars/Olympus"}) { userErrors { code } } }'
    answer = await fresh_rig.execute(query, None, await fresh_rig.viewer(HR))
    assert "needed an IANA time zone like Asia/Kolkata, got 'Mars/Olympus'" in answer.message
    async with fresh_rig.rows() as rows:  # a name that Python finds on some machines and PostgreSQL does not know
        assert [await knows_zone(rows.connection, name) for name in ("localtime", "Asia/Kolkata")] == [False, True]
