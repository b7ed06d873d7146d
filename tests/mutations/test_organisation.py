"""saveDepartment, saveLocation and saveShift: exact problems, and every cached answer right at once."""

import asyncio
from datetime import UTC, date, datetime
from typing import Any

import pytest

from db.department_writes import lock_tree
from db.location_writes import knows_zone
from domain.enums import PunchDirection
from jobs.upkeep import upkeep_once
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ANALYST,
    AUDITOR,
    BACKEND,
    BERLIN,
    DAY,
    DEVICE,
    EMPLOYEE,
    ENGINEERING,
    GATE,
    GRACE,
    HR,
    HR_OPERATIONS,
    LAB,
    LINUS,
    MANAGER,
    OPERATIONS,
    OTHER_ALEX,
    PAYROLL_MUMBAI,
    ZOE,
)
from tests.mutations.attending import check_days, recomputed
from tests.mutations.changing import change, department, employee, location, problem, refused, shift, waits

DEPARTMENT = "department { id code name version parent { code } manager { fullName } }"
TREE = "{ departments { code version children { code } } }"


async def tree(rig: Rig) -> dict[str, list[str]]:
    found = await rig.data(TREE, None, await rig.viewer(HR))
    return {row["code"]: [child["code"] for child in row["children"]] for row in found["departments"]}


async def test_a_department_is_made_and_stands_in_every_list_at_once(fresh_rig: Rig) -> None:
    before = await tree(fresh_rig)
    made = await change(
        fresh_rig,
        "saveDepartment",
        DEPARTMENT,
        code=" DATA ",
        name="Data",
        parentId=department(ENGINEERING),
        managerId=employee(GRACE),
    )
    assert made == {
        "department": {
            "id": department(8),
            "code": "DATA",
            "name": "Data",
            "version": 1,
            "parent": {"code": "ENG"},
            "manager": {"fullName": "Grace Hopper"},
        },
        "userErrors": [],
    }
    assert await tree(fresh_rig) == before | {"DATA": [], "ENG": ["BACK", "DATA", "FRONT"]}


async def test_fields_left_out_stay_and_null_clears(fresh_rig: Rig) -> None:
    viewer, query = await fresh_rig.viewer(HR), f'{{ node(id: "{department(ENGINEERING)}") {{ ... on Department {{'
    query += " code name version parent { code } manager { fullName } } } }"
    levels = {"department_by_id": 2}

    async def node() -> Any:
        return (await fresh_rig.data(query, None, viewer, repeats=levels))["node"]

    assert (await node())["name"] == "Engineering"
    kept = {"code": "ENG", "parent": {"code": "COMP"}, "manager": {"fullName": "Alan Turing"}}

    await change(fresh_rig, "saveDepartment", id=department(ENGINEERING), name="Making", expectedVersion=1)
    assert await node() == kept | {"name": "Making", "version": 2}

    cleared = await change(
        fresh_rig, "saveDepartment", DEPARTMENT, id=department(ENGINEERING), parentId=None, managerId=None
    )
    kept = {"code": "ENG", "name": "Making", "version": 3, "parent": None, "manager": None}
    assert cleared == {"department": {"id": department(ENGINEERING)} | kept, "userErrors": []}
    assert await node() == kept

    again = await change(fresh_rig, "saveDepartment", DEPARTMENT, id=department(ENGINEERING), parentId=None)
    assert again == cleared  # nothing changed, so the version stands


async def test_a_moved_department_takes_its_figures_along(fresh_rig: Rig) -> None:
    query = '{ departments { code stats(period: {range: {from: "2026-03-02", to: "2026-03-16"}}) { scheduledDays } } }'

    async def days() -> dict[str, float]:
        found = await fresh_rig.data(query, None, await fresh_rig.viewer(HR))
        return {row["code"]: row["stats"]["scheduledDays"] for row in found["departments"]}

    before = await days()
    assert before == {
        **{"COMP": 122, "ENG": 80, "BACK": 38.5, "FRONT": 30.5},
        **{"OPS": 31, "GATE": 20, "LAB": 10.5},
    }
    await change(fresh_rig, "saveDepartment", id=department(GATE), parentId=department(LAB))
    assert await days() == before | {"COMP": 102, "OPS": 11, "LAB": 30.5}
    assert (await tree(fresh_rig))["LAB"] == ["GATE"]
    assert (await tree(fresh_rig))["OPS"] == []


async def test_a_new_leader_sees_the_department_at_once(fresh_rig: Rig) -> None:
    assert (await fresh_rig.viewer(MANAGER)).identified.department_ids == (2, 3, 4)
    await change(fresh_rig, "saveDepartment", id=department(LAB), managerId=employee(2))
    assert (await fresh_rig.viewer(MANAGER)).identified.department_ids == (2, 3, 4, 7)


CIRCLE = (
    "input.parentId: needed a department that is neither the department itself nor below it, or they would form a "
    "circle"
)


@pytest.mark.parametrize("parent", [ENGINEERING, BACKEND])
async def test_no_department_is_above_itself(rig: Rig, parent: int) -> None:
    found = await refused(rig, "saveDepartment", id=department(ENGINEERING), parentId=department(parent))
    assert found == problem("INVALID", CIRCLE, "input", "parentId")
    assert (await tree(rig))["COMP"] == ["ENG", "OPS"]


async def test_two_moves_at_once_make_no_circle(fresh_rig: Rig) -> None:
    """Neither touches the department that the other moves, only one below it."""
    async with fresh_rig.rows() as rows:
        await lock_tree(rows.connection)
        await rows.run("UPDATE department SET parent_id = :gate WHERE id = :id", gate=GATE, id=ENGINEERING)
        other = change(fresh_rig, "saveDepartment", id=department(OPERATIONS), parentId=department(BACKEND))
        task = asyncio.create_task(other)
        assert await waits(fresh_rig, task)
    assert (await task)["userErrors"] == [problem("INVALID", CIRCLE, "input", "parentId")]
    assert (await tree(fresh_rig))["GATE"] == ["ENG"]


SOMEBODY = "input.expectedVersion: somebody changed it meanwhile: expected version 7, it is 1; read it again"


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        ({}, problem("INVALID", "input.code: needed a text, got none", "input", "code")),
        ({"code": "X"}, problem("INVALID", "input.name: needed a text, got none", "input", "name")),
        (
            {"id": department(2), "code": None},
            problem("INVALID", "input.code: needed a text, got none", "input", "code"),
        ),
        ({"code": "x" * 51}, problem("INVALID", "input.code: needed at most 50 characters, got 51", "input", "code")),
        ({"id": "x"}, problem("INVALID", "input.id: needed an id as this API returns it, got 'x'", "input", "id")),
        ({"id": ""}, problem("INVALID", "input.id: needed an id as this API returns it, got ''", "input", "id")),
        (
            {"id": location(1)},
            problem("INVALID", f"input.id: needed the id of a Department, got '{location(1)}'", "input", "id"),
        ),
        ({"id": department(99)}, problem("NOT_FOUND", "input.id: there is no such department", "input", "id")),
        ({"id": department(2**40)}, problem("NOT_FOUND", "input.id: there is no such department", "input", "id")),
        (
            {"id": department(2), "parentId": department(2**40)},
            problem("NOT_FOUND", "input.parentId: there is no such department", "input", "parentId"),
        ),
        (
            {"id": department(2), "managerId": employee(99)},
            problem("NOT_FOUND", "input.managerId: there is no such employee", "input", "managerId"),
        ),
        (
            {"code": "back", "name": "Other"},
            problem(
                "CONFLICT",
                "input.code: another department has the code 'back' already, in whatever case; choose another",
                "input",
                "code",
                currentVersion=1,
                current={"id": department(BACKEND)},
            ),
        ),
        (
            {"id": department(2), "name": "Other", "expectedVersion": 7},
            problem("CONFLICT", SOMEBODY, "input", "expectedVersion", currentVersion=1, current={"id": department(2)}),
        ),
        (
            {"code": "X", "name": "X", "expectedVersion": 1},
            problem(
                "INVALID",
                "input.expectedVersion: needed an id beside it; what is new has no version yet",
                "input",
                "expectedVersion",
            ),
        ),
    ],
)
async def test_what_is_wrong_with_a_department(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    before = await rig.records("SELECT * FROM department ORDER BY id")
    assert await refused(rig, "saveDepartment", **input) == expected
    assert await rig.records("SELECT * FROM department ORDER BY id") == before


NEEDED = problem("FORBIDDEN", "needed the role HR for everyone, or ADMIN")


@pytest.mark.parametrize("user", [HR_OPERATIONS, PAYROLL_MUMBAI, MANAGER, ANALYST, AUDITOR, EMPLOYEE, DEVICE])
async def test_who_may_not_organise(rig: Rig, user: str) -> None:
    rule = {"shiftId": shift(DAY), "validFrom": "2026-04-01", "startTime": "09:00", "endTime": "18:00"}
    assert await refused(rig, "saveDepartment", user, code="X", name="X") == NEEDED
    assert await refused(rig, "saveLocation", user, code="X", name="X", timeZone="UTC") == NEEDED
    assert await refused(rig, "saveShift", user, code="X", name="X") == NEEDED
    assert await refused(rig, "saveShiftRule", user, **rule) == NEEDED


async def test_an_administrator_organises_but_sees_no_people(fresh_rig: Rig) -> None:
    made = await change(fresh_rig, "saveDepartment", "department { code }", ADMIN, code="X", name="X")
    assert made == {"department": {"code": "X"}, "userErrors": []}
    found = await refused(fresh_rig, "saveDepartment", ADMIN, id=department(LAB), managerId=employee(ADA))
    assert found == problem("NOT_FOUND", "input.managerId: there is no such employee", "input", "managerId")


async def test_nobody_is_told_to_sign_in(fresh_rig: Rig) -> None:
    answer = await fresh_rig.execute('mutation { saveShift(input: {code: "X", name: "X"}) { userErrors { code } } }')
    assert (answer.data, answer.code) == (None, "UNAUTHENTICATED")


# ---------------------------------------------------------------------------------------------------------- locations


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


# ------------------------------------------------------------------------------------------------------------- shifts


async def test_a_shift_is_made_and_changed(fresh_rig: Rig) -> None:
    query = "{ shifts { code name color version currentRule { startTime endTime } rules { id } } }"
    listed = {row["code"]: row for row in (await fresh_rig.data(query, None, await fresh_rig.viewer(HR)))["shifts"]}
    made = await change(fresh_rig, "saveShift", "shift { id code }", code="EVE", name="Evening", color="#abc")
    assert made == {"shift": {"id": shift(4), "code": "EVE"}, "userErrors": []}
    await change(fresh_rig, "saveShift", id=shift(4), color=None, expectedVersion=1)
    await change(fresh_rig, "saveShift", id=shift(DAY), color="teal")
    found = {row["code"]: row for row in (await fresh_rig.data(query, None, await fresh_rig.viewer(HR)))["shifts"]}
    defaults = {"startTime": "09:00", "endTime": "18:00"}  # the shift has no rule yet, and no list fails over it
    eve = {"code": "EVE", "name": "Evening", "color": None, "version": 2, "currentRule": defaults, "rules": []}
    assert found == listed | {"EVE": eve, "DAY": listed["DAY"] | {"color": "teal", "version": 2}}


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        (
            {"code": "X", "name": "X", "color": "#12"},
            problem("INVALID", "input.color: needed a colour like #1f77b4 or teal, got '#12'", "input", "color"),
        ),
        (
            {"id": shift(3), "code": "Night"},
            problem(
                "CONFLICT",
                "input.code: another shift has the code 'Night' already, in whatever case; choose another",
                "input",
                "code",
                currentVersion=1,
                current={"id": shift(2)},
            ),
        ),
        ({"id": shift(9)}, problem("NOT_FOUND", "input.id: there is no such shift", "input", "id")),
        (
            {"id": shift(1), "expectedVersion": 7},
            problem("CONFLICT", SOMEBODY, "input", "expectedVersion", currentVersion=1, current={"id": shift(1)}),
        ),
    ],
)
async def test_what_is_wrong_with_a_shift(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await refused(rig, "saveShift", **input) == expected
    assert await rig.records("SELECT count(*), sum(version) FROM shift") == [(3, 3)]
