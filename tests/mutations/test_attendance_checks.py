"""Checking in and out: what is written, who may, retries, and two at the same moment."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from domain.errors import ErrorCode
from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ALEX,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EXPIRED,
    GRACE,
    HR,
    HR_OPERATIONS,
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

TWICE = """mutation($input: CheckInput!) { checkIn(input: $input) {
  punch { direction voided } day { exceptions } duplicate userErrors { code } } }"""
PRESENCE = "query($id: ID!) { employee(id: $id) { presence { state since { local } } } }"
TODAY_QUERY = "{ today { inNow lateNotIn { fullName } } }"
STATS = """query($id: ID!) { stats(filter: {period: {range: {from: "2026-03-17", to: "2026-03-17"}},
  scope: {employeeIds: [$id]}}) { totals { lateCount pendingCount lateHours } } }"""
LIST = """query($id: ID!) { attendance(filter: {period: {range: {from: "2026-03-17", to: "2026-03-17"}},
  scope: {employeeIds: [$id]}}) { nodes { firstIn { local } punches { direction } } } }"""


async def test_a_check_in_is_a_punch_of_the_day(fresh_rig: Rig) -> None:
    before = await contents(fresh_rig)
    assert await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX), note="by bus") == {
        "punch": {"direction": "IN", "at": {"instant": "2026-03-17T05:00:00Z"}, "source": "WEB", "voided": False},
        "day": {
            "id": day(ALEX, "2026-03-17"),
            "status": "PENDING",
            "workMode": "REMOTE",
            "firstIn": {"local": "2026-03-17T10:30"},
            "lastOut": None,
            "workedMinutes": 0,
            "lateMinutes": 90,
            "overridden": False,
            "version": 2,
        },
        "unattributed": False,
        "duplicate": False,
    }
    after = await contents(fresh_rig)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {"punch", "attendance_day", "attendance_stat"}
    assert len(after["punch"]) == len(before["punch"]) + 1
    assert await fresh_rig.records("SELECT note FROM punch ORDER BY id DESC LIMIT 1") == [("by bus",)]
    await check_days(fresh_rig)


async def test_out_follows_in(fresh_rig: Rig) -> None:
    viewer = await fresh_rig.viewer(EMPLOYEE)
    await done(fresh_rig, "checkIn", viewer, at="2026-03-17T04:00:00Z")
    fresh_rig.clock.forward(hours=3)
    found = await done(fresh_rig, "checkOut", viewer)
    assert found["punch"]["direction"] == "OUT"
    assert (found["day"]["id"], found["day"]["lastOut"]) == (day(MIA, "2026-03-17"), {"local": "2026-03-17T13:30"})
    await check_days(fresh_rig)


async def test_a_check_out_between_punches_is_judged_by_what_was_before_it(fresh_rig: Rig) -> None:
    """Ada came at 08:55 and left at 10:00; an OUT at 09:30 was missed, and the IN after it."""
    out = await done(fresh_rig, "checkOut", HR, employeeId=employee(ADA), at="2026-03-17T04:00:00Z")
    assert out["day"]["lastOut"] == {"local": "2026-03-17T10:00"}
    back = await done(fresh_rig, "checkIn", HR, employeeId=employee(ADA), at="2026-03-17T04:10:00Z")
    assert back["day"]["firstIn"] == {"local": "2026-03-17T08:55"}
    again = await answer(fresh_rig, "checkIn", HR, employeeId=employee(ADA), at="2026-03-17T04:15:00Z")
    assert [wrong["code"] for wrong in again["userErrors"]] == ["ALREADY_CHECKED_IN"]
    await check_days(fresh_rig)


@pytest.mark.parametrize("explicit", [{}, {"at": "2026-03-17T04:00:00Z"}], ids=["now", "at the same second"])
async def test_checks_within_a_second_count_in_the_order_in_which_they_were_made(
    fresh_rig: Rig, explicit: dict[str, str]
) -> None:
    """Also when the clocks of two machines disagree by some seconds."""
    viewer, alex = await fresh_rig.viewer(HR), {"id": employee(ALEX)}
    for number, field in enumerate(("checkIn", "checkOut", "checkIn", "checkOut", "checkIn")):
        found = await done(fresh_rig, field, HR, employeeId=employee(ALEX), **explicit)
        assert found["punch"]["direction"] == ("OUT" if number % 2 else "IN")
        fresh_rig.clock.forward(seconds=-number)
        presence = (await fresh_rig.data(PRESENCE, alex, viewer))["employee"]["presence"]
        assert presence["state"] == found["punch"]["direction"]
    sql = "SELECT direction FROM punch WHERE employee_id = 5 AND punched_at >= '2026-03-17T03:00Z' ORDER BY punched_at"
    assert await fresh_rig.records(sql) == [("IN",), ("OUT",), ("IN",), ("OUT",), ("IN",)]
    await check_days(fresh_rig)


async def test_in_from_a_break(fresh_rig: Rig) -> None:
    assert (await done(fresh_rig, "checkIn", MANAGER))["punch"]["direction"] == "IN"


async def test_a_place_outside_is_an_exception_not_an_error(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        sql = "UPDATE location SET latitude = 19.0, longitude = 72.8, geofence_metres = 200 WHERE id = 1 RETURNING id"
        await rows.run(sql)
    await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX), latitude=19.1, longitude=72.8)
    [(outside, latitude)] = await fresh_rig.records("SELECT outside_geofence, latitude FROM punch WHERE latitude > 0")
    assert (outside, latitude) == (True, 19.1)
    query = "query($id: ID!) { node(id: $id) { ... on AttendanceDay { exceptions } } }"
    found = await fresh_rig.data(query, {"id": day(ALEX, "2026-03-17")}, await fresh_rig.viewer(HR))
    assert found["node"]["exceptions"] == ["LATE_IN", "OUTSIDE_GEOFENCE"]
    await done(fresh_rig, "checkOut", HR, employeeId=employee(ALEX), latitude=19.0, longitude=72.8)
    assert await fresh_rig.records("SELECT count(*) FROM punch WHERE outside_geofence") == [(1,)]


NO_EMPLOYEE = invalid("input.employeeId: there is no such employee", "input", "employeeId", code="NOT_FOUND")
FORBIDDEN = problem(
    "Forbidden",
    "FORBIDDEN",
    "input.employeeId: needed a grant to manage this employee",
    "input",
    "employeeId",
    neededRole="MANAGER",
)
NO_RECORD = invalid(
    "input.employeeId: needed an employee, since the signed-in user has no employee record", "input", "employeeId"
)
ALREADY = problem("GenericUserError", "ALREADY_CHECKED_IN", "Grace Hopper is checked in already: check out first")
NOT_IN = problem("GenericUserError", "NOT_CHECKED_IN", "Alex Kim is not checked in: check in first")


@pytest.mark.parametrize(
    ("field", "user", "input_", "wrong"),
    [
        ("checkIn", HR, {"employeeId": employee(GRACE)}, ALREADY),
        ("checkOut", HR, {"employeeId": employee(ALEX)}, NOT_IN),
        ("checkIn", HR, {"employeeId": employee(99)}, NO_EMPLOYEE),
        (
            "checkIn",
            HR,
            {"employeeId": encode_id("Shift", 1)},
            invalid(
                f"input.employeeId: needed the id of an Employee, got {encode_id('Shift', 1)!r}", "input", "employeeId"
            ),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "at": "2026-03-17T05:02:01Z"},
            invalid(
                "input.at: needed an instant that has come, got 2026-03-17T05:02:01Z", "input", "at", code="FUTURE_TIME"
            ),
        ),
        (
            "checkIn",
            EMPLOYEE,
            {"at": "2026-03-16T04:59:59Z"},
            invalid(
                "input.at: needed an instant of the last one day, got 2026-03-16T04:59:59Z; ask for a correction",
                "input",
                "at",
            ),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "at": "2025-02-10T04:59:59Z"},
            invalid(
                "input.at: needed an instant of the last 400 days, got 2025-02-10T04:59:59Z; ask for a correction",
                "input",
                "at",
            ),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(LEO)},
            invalid("input.employeeId: Leo Left is not employed on 2026-03-17", "input", "employeeId"),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "latitude": 1.0},
            invalid("input.latitude: needed latitude and longitude together, or neither", "input", "latitude"),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "latitude": 90.5, "longitude": 0},
            invalid("input.latitude: needed degrees from -90 to 90, got 90.5", "input", "latitude"),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "latitude": 0, "longitude": -181},
            invalid("input.longitude: needed degrees from -180 to 180, got -181.0", "input", "longitude"),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "note": "x" * 501},
            invalid("input.note: needed at most 500 characters, got 501", "input", "note"),
        ),
        (
            "checkIn",
            HR,
            {"employeeId": employee(ALEX), "clientEventId": "k" * 201},
            invalid("input.clientEventId: needed 1 to 200 characters, got 201", "input", "clientEventId"),
        ),
        ("checkIn", HR, {}, NO_RECORD),
        ("checkIn", EMPLOYEE, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", MANAGER, {"employeeId": employee(ZOE)}, NO_EMPLOYEE),
        ("checkIn", EXPIRED, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", HR_OPERATIONS, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", ANALYST, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", DEVICE, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", ADMIN, {"employeeId": employee(ALEX)}, NO_EMPLOYEE),
        ("checkIn", AUDITOR, {"employeeId": employee(ALEX)}, FORBIDDEN),
        ("checkIn", PAYROLL_MUMBAI, {"employeeId": employee(ALEX)}, FORBIDDEN),
    ],
)
async def test_refused(rig: Rig, field: str, user: str, input_: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert await refused(rig, field, user, **input_) == [wrong]


@pytest.mark.parametrize(
    ("user", "who"), [(MANAGER, GRACE), (MANAGER, ALEX), (HR_OPERATIONS, OMAR), (HR, ZOE), (EMPLOYEE, MIA)]
)
async def test_within_reach(fresh_rig: Rig, user: str, who: int) -> None:
    found = await answer(fresh_rig, "checkOut" if who in (GRACE, ZOE) else "checkIn", user, employeeId=employee(who))
    assert found["userErrors"] == []


async def test_a_retry_gets_the_first_answer_and_changes_nothing(fresh_rig: Rig) -> None:
    retried = {"employeeId": employee(ALEX), "clientEventId": "phone-1"}
    first = await answer(fresh_rig, "checkIn", HR, **retried)
    before = await contents(fresh_rig)
    fresh_rig.clock.forward(minutes=7)
    assert orjson.dumps(await answer(fresh_rig, "checkIn", HR, **retried)) == orjson.dumps(first)
    assert first["userErrors"] == []
    mismatch = problem(
        "GenericUserError",
        "IDEMPOTENCY_MISMATCH",
        "input.clientEventId: was used for another request; repeat that one, or use another key",
        "input",
        "clientEventId",
    )
    assert await refused(fresh_rig, "checkIn", HR, **retried, note="another") == [mismatch]
    assert await refused(fresh_rig, "checkOut", HR, **retried) == [mismatch]
    assert await contents(fresh_rig) == before
    # the key of another user is another key
    other = await answer(fresh_rig, "checkIn", MANAGER, **retried)
    assert [wrong["code"] for wrong in other["userErrors"]] == [ErrorCode.ALREADY_CHECKED_IN]


async def test_a_refused_request_does_not_use_up_its_key(fresh_rig: Rig) -> None:
    key = {"employeeId": employee(GRACE), "clientEventId": "once"}
    assert await refused(fresh_rig, "checkIn", HR, **key) == [ALREADY]
    await done(fresh_rig, "checkOut", HR, employeeId=employee(GRACE))
    fresh_rig.clock.forward(minutes=1)
    await done(fresh_rig, "checkIn", HR, **key)


async def test_two_retries_at_once_write_one_punch(fresh_rig: Rig) -> None:
    same = {"employeeId": employee(ALEX), "clientEventId": "twice"}
    before = await contents(fresh_rig)
    one, other = await asyncio.gather(*(answer(fresh_rig, "checkIn", HR, **same) for _ in range(2)))
    assert orjson.dumps(one) == orjson.dumps(other)
    assert one["userErrors"] == []
    assert len((await contents(fresh_rig))["punch"]) == len(before["punch"]) + 1


async def test_of_two_check_ins_at_once_one_succeeds(fresh_rig: Rig) -> None:
    found = await asyncio.gather(
        *(
            answer(fresh_rig, "checkIn", HR, employeeId=employee(ALEX), at=f"2026-03-17T04:{minute}:00Z")
            for minute in (10, 10, 10)
        )
    )
    codes = sorted(wrong["code"] for payload in found for wrong in payload["userErrors"])
    assert codes == ["ALREADY_CHECKED_IN", "ALREADY_CHECKED_IN"]
    await check_days(fresh_rig)


async def test_a_check_in_and_a_recompute_at_once_leave_the_day_right(fresh_rig: Rig) -> None:
    period = {"period": {"range": {"from": "2026-03-10", "to": "2026-03-17"}}}
    checked, derived = await asyncio.gather(
        answer(fresh_rig, "checkIn", HR, employeeId=employee(ALEX)), recomputed(fresh_rig, HR, period)
    )
    assert (checked["userErrors"], derived["userErrors"]) == ([], [])
    assert checked["day"]["firstIn"] == {"local": "2026-03-17T10:30"}
    await check_days(fresh_rig)


@pytest.mark.parametrize("cached", [True, False])
async def test_every_answer_is_right_at_once(fresh_rig: Rig, cached: bool) -> None:
    if not cached:
        await fresh_rig.uncached()
    viewer, alex = await fresh_rig.viewer(HR), {"id": employee(ALEX)}
    for query in (PRESENCE, STATS, LIST):
        assert await seen(fresh_rig, query, alex, viewer) == await seen(fresh_rig, query, alex, viewer)
    for _ in ("cold", "warm"):
        today = (await seen(fresh_rig, TODAY_QUERY, None, viewer))["today"]
    late = [person["fullName"] for person in today["lateNotIn"]]
    assert "Alex Kim" in late
    await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX))
    assert await fresh_rig.data(PRESENCE, alex, viewer) == {
        "employee": {"presence": {"state": "IN", "since": {"local": "2026-03-17T10:30"}}}
    }
    assert await fresh_rig.data(LIST, alex, viewer) == {
        "attendance": {"nodes": [{"firstIn": {"local": "2026-03-17T10:30"}, "punches": [{"direction": "IN"}]}]}
    }
    assert await seen(fresh_rig, STATS, alex, viewer) == {
        "stats": {"totals": {"lateCount": 1, "pendingCount": 1, "lateHours": 1.5}}
    }
    assert await seen(fresh_rig, TODAY_QUERY, None, viewer) == {
        "today": {
            "inNow": today["inNow"] + 1,
            "lateNotIn": [{"fullName": name} for name in late if name != "Alex Kim"],
        }
    }


@pytest.mark.parametrize("local", ["10:30", "23:30"], ids=["in a window", "in none"])
async def test_a_check_right_after_a_read_of_unknown_direction_says_that_it_changes_nothing(
    fresh_rig: Rig, local: str
) -> None:
    hr, id_ = await fresh_rig.viewer(HR), {"id": employee(GRACE)}

    async def checked(key: str) -> Any:
        asked = {"input": {"employeeId": employee(GRACE), "clientEventId": key}}
        return (await fresh_rig.data(TWICE, asked, hr))["checkIn"]

    async def state() -> str:
        return str((await fresh_rig.data(PRESENCE, id_, hr))["employee"]["presence"]["state"])

    fresh_rig.clock.now = datetime.fromisoformat(f"2026-03-17T{local}:00+05:30").astimezone(UTC)
    read = [{"badgeNo": "B-3", "at": f"2026-03-17T{local}:00+05:30", "direction": "UNKNOWN"}]
    assert (await answer(fresh_rig, "recordPunches", HR, deviceCode="MUM-1", punches=read))["accepted"] == 1
    assert await state() == "OUT"  # she was in
    fresh_rig.clock.forward(minutes=1)
    repeated = await checked("a")
    in_window = local == "10:30"
    assert repeated == {
        "punch": {"direction": "IN", "voided": False},
        "day": {"exceptions": ["DUPLICATE_PUNCH"]} if in_window else None,
        "duplicate": True,
        "userErrors": [],
    }
    assert await state() == "OUT"
    fresh_rig.clock.forward(minutes=1 / 60)
    counted = await checked("b")
    assert (counted["duplicate"], counted["userErrors"]) == (False, [])
    assert await state() == "IN"
    before = await contents(fresh_rig)
    assert [await checked("a"), await checked("b")] == [repeated, counted]
    assert await contents(fresh_rig) == before
    await check_days(fresh_rig, GRACE)
