"""Punches in no window of any shift: they belong to no day, and yet whoever checks in is in at once, everywhere."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.enums import PunchDirection
from tests.kit.rig import Rig
from tests.kit.small_company import ALEX, EMPLOYEE, GRACE, HR, MIA, NINA
from tests.mutations.attending import answer, check_days, day, done, employee, problem, refused, shift, voided

PRESENCE = "query($id: ID!) { employee(id: $id) { presence { state since { local } } } }"
TODAY = "{ today { inNow lateNotIn { fullName } } }"


async def presence(rig: Rig, who: int) -> tuple[str, str | None]:
    """Where somebody is, asked twice: what is cached now has to change with the next punch."""
    viewer = await rig.viewer(HR)
    found = (await rig.warm(PRESENCE, {"id": employee(who)}, viewer)).data["employee"]["presence"]
    return found["state"], found["since"] and found["since"]["local"]


async def in_now(rig: Rig) -> int:
    """How many are in, asked twice."""
    return int((await rig.warm(TODAY, None, await rig.viewer(HR))).data["today"]["inNow"])


def at_local(rig: Rig, clock: str) -> None:
    """Let it be a time of 2026-03-17 or later in Mumbai, e.g. 17T23:00."""
    rig.clock.now = datetime.fromisoformat(f"2026-03-{clock}:00+05:30").astimezone(UTC)


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize(
    ("who", "user", "in_at", "out_at", "before"),
    [
        (ALEX, HR, "17T23:00", "17T23:30", "NOT_EXPECTED"),  # his window closed at 22:00
        (MIA, EMPLOYEE, "17T23:00", "18T00:10", "ON_LEAVE"),  # hers too, and she is on leave
        (ALEX, HR, "18T06:00", "18T06:45", "NOT_EXPECTED"),  # his window opens at 07:00
    ],
)
async def test_whoever_checks_in_is_in(
    fresh_rig: Rig, cached: bool, who: int, user: str, in_at: str, out_at: str, before: str
) -> None:
    if not cached:
        await fresh_rig.uncached()
    at_local(fresh_rig, in_at)
    several = await in_now(fresh_rig)
    assert await presence(fresh_rig, who) == (before, None)
    found = await done(fresh_rig, "checkIn", user, employeeId=employee(who))
    assert (found["day"], found["unattributed"]) == (None, True)
    assert await presence(fresh_rig, who) == ("IN", f"2026-03-{in_at}")
    assert await in_now(fresh_rig) == several + 1
    again = await refused(fresh_rig, "checkIn", user, employeeId=employee(who))
    assert [wrong["code"] for wrong in again] == ["ALREADY_CHECKED_IN"]
    at_local(fresh_rig, out_at)
    several = await in_now(fresh_rig)
    assert (await done(fresh_rig, "checkOut", user, employeeId=employee(who)))["day"] is None
    assert await presence(fresh_rig, who) == ("OUT", f"2026-03-{out_at}")
    assert await in_now(fresh_rig) == several - 1
    again = await refused(fresh_rig, "checkOut", user, employeeId=employee(who))
    assert [wrong["code"] for wrong in again] == ["NOT_CHECKED_IN"]
    await check_days(fresh_rig, who)


async def test_a_check_in_before_the_window_is_not_late_when_the_shift_begins(fresh_rig: Rig) -> None:
    at_local(fresh_rig, "18T06:59")
    await done(fresh_rig, "checkIn", HR, employeeId=employee(GRACE))
    at_local(fresh_rig, "18T09:30")
    today = (await fresh_rig.data(TODAY, None, await fresh_rig.viewer(HR)))["today"]
    assert "Grace Hopper" not in [person["fullName"] for person in today["lateNotIn"]]
    assert await presence(fresh_rig, GRACE) == ("IN", "2026-03-18T06:59")


async def test_an_open_session_is_believed_for_as_long_as_the_rule_says(fresh_rig: Rig) -> None:
    """Grace came at 09:00 and never leaves: 16 hours later nobody believes that she is there."""
    at_local(fresh_rig, "18T01:00")
    assert await presence(fresh_rig, GRACE) == ("IN", "2026-03-17T09:00")
    several = await in_now(fresh_rig)
    assert [wrong["code"] for wrong in await refused(fresh_rig, "checkIn", HR, employeeId=employee(GRACE))] == [
        "ALREADY_CHECKED_IN"
    ]
    at_local(fresh_rig, "18T01:01")
    assert await presence(fresh_rig, GRACE) == ("NOT_EXPECTED", None)
    assert await in_now(fresh_rig) == several - 1
    not_in = problem("GenericUserError", "NOT_CHECKED_IN", "Grace Hopper is not checked in: check in first")
    assert await refused(fresh_rig, "checkOut", HR, employeeId=employee(GRACE)) == [not_in]
    await done(fresh_rig, "checkIn", HR, employeeId=employee(GRACE))
    assert await presence(fresh_rig, GRACE) == ("IN", "2026-03-18T01:01")


async def test_the_rule_of_the_shift_says_how_long(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE shift_rule SET max_session_minutes = 90 WHERE shift_id = 1 RETURNING id")
    at_local(fresh_rig, "17T10:30")
    assert await presence(fresh_rig, GRACE) == ("IN", "2026-03-17T09:00")
    at_local(fresh_rig, "17T10:31")
    assert await presence(fresh_rig, GRACE) == ("NOT_EXPECTED", None)
    await done(fresh_rig, "checkIn", HR, employeeId=employee(GRACE))


async def test_who_leaves_in_the_morning_after_a_night_is_out_until_midnight(fresh_rig: Rig) -> None:
    fresh_rig.clock.now = datetime(2026, 3, 17, 10, tzinfo=UTC)  # 06:00 in New York
    await done(fresh_rig, "checkOut", HR, employeeId=employee(NINA))
    assert await presence(fresh_rig, NINA) == ("OUT", "2026-03-17T06:00")
    fresh_rig.clock.now = datetime(2026, 3, 18, 2, 20, tzinfo=UTC)  # 22:20 there: tonight she is late
    assert await presence(fresh_rig, NINA) == ("LATE_NOT_IN", None)


async def test_a_punch_of_unknown_direction_in_no_window_turns_presence_over(fresh_rig: Rig) -> None:
    punch: dict[str, Any] = {"badgeNo": "B-3", "direction": "UNKNOWN"}
    for clock, state in (("17T22:30", "OUT"), ("17T22:40", "IN")):
        at_local(fresh_rig, clock)
        handed_in = [punch | {"at": f"2026-03-{clock}:00+05:30"}]
        found = await answer(fresh_rig, "recordPunches", HR, deviceCode="MUM-1", punches=handed_in)
        assert (found["accepted"], found["userErrors"]) == (1, [])
        assert await presence(fresh_rig, GRACE) == (state, f"2026-03-{clock}")
    await check_days(fresh_rig, GRACE)


async def test_the_latest_of_two_days_counts(fresh_rig: Rig) -> None:
    """Somebody whose forgotten session of the night is still open is where the punches of today say."""
    several = await in_now(fresh_rig)
    async with fresh_rig.rows() as rows:
        await rows.punch(GRACE, "2026-03-16T23:00", PunchDirection.IN)
        await rows.derive([GRACE], datetime(2026, 3, 16).date(), datetime(2026, 3, 17).date(), fresh_rig.clock())
    assert await in_now(fresh_rig) == several
    await done(fresh_rig, "checkOut", HR, employeeId=employee(GRACE))
    assert await presence(fresh_rig, GRACE) == ("OUT", "2026-03-17T10:30")
    assert await in_now(fresh_rig) == several - 1


PUNCHES = """query($id: ID!, $odd: Boolean) { employee(id: $id) {
  punches(period: { range: { from: "2026-03-16", to: "2026-03-17" } }, unattributed: $odd) {
    direction voided at { local } day { workDate } } } }"""
DAYS = """query($id: ID!) { attendance(filter: { scope: { employeeIds: [$id] },
  period: { range: { from: "2026-03-16", to: "2026-03-17" } } }) { nodes {
    workDate punches { id } unattributed { direction at { local } } explain { step value punches { id } } } } }"""
AGAIN = {"facts_company": 3, "facts_employee": 3}


async def test_punches_of_no_day_are_shown_as_such_at_once(fresh_rig: Rig) -> None:
    viewer, alex = await fresh_rig.viewer(HR), {"id": employee(ALEX)}

    async def shown(*, odd: bool) -> list[tuple[str, str, Any, bool]]:
        found = await fresh_rig.data(PUNCHES, alex | {"odd": odd}, viewer, repeats=AGAIN)
        return [
            (punch["direction"], punch["at"]["local"][8:], punch["day"] and punch["day"]["workDate"], punch["voided"])
            for punch in found["employee"]["punches"]
        ]

    at_local(fresh_rig, "17T23:00")
    usual = [("OUT", "16T18:00", "2026-03-16", False), ("IN", "16T09:20", "2026-03-16", False)]
    assert (await shown(odd=False), await shown(odd=True)) == (usual, [])
    await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX))
    odd = [("IN", "17T23:00", None, False)]
    assert (await shown(odd=False), await shown(odd=True)) == ([*odd, *usual], odd)
    nodes = (await fresh_rig.data(DAYS, alex, viewer, repeats=AGAIN | {"punches_around": 2}))["attendance"]["nodes"]
    assert [node["unattributed"] for node in nodes] == [
        [{"direction": "IN", "at": {"local": "2026-03-17T23:00"}}],
        [],
    ]
    assert [len(node["punches"]) for node in nodes] == [0, 2]
    last = nodes[0]["explain"][-1]
    assert (last["step"], last["value"], len(last["punches"])) == ("unattributed", 1, 1)
    [(punch,)] = await fresh_rig.records("SELECT max(id) FROM punch")
    found = await voided(fresh_rig, HR, punch)
    assert (found["day"]["id"], found["unattributed"]) == (day(ALEX, "2026-03-17"), False)
    assert (await shown(odd=False), await shown(odd=True)) == ([("IN", "17T23:00", None, True), *usual], [])
    assert await presence(fresh_rig, ALEX) == ("NOT_EXPECTED", None)


async def test_another_shift_gives_a_punch_its_day(fresh_rig: Rig) -> None:
    viewer, alex = await fresh_rig.viewer(HR), {"id": employee(ALEX), "odd": True}
    at_local(fresh_rig, "17T23:00")
    await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX))
    assert len((await fresh_rig.data(PUNCHES, alex, viewer))["employee"]["punches"]) == 1
    night = {"shiftId": shift(2), "from": "2026-03-17", "to": "2026-03-17"}
    await done(fresh_rig, "assignShift", HR, employeeIds=[employee(ALEX)], **night)
    assert (await fresh_rig.data(PUNCHES, alex, viewer))["employee"]["punches"] == []
    assert await presence(fresh_rig, ALEX) == ("IN", "2026-03-17T23:00")
    await check_days(fresh_rig, ALEX)


async def test_days_are_explained_as_of_the_time_of_the_request(fresh_rig: Rig) -> None:
    """Not as of the time of the machine, by which every window has long been over."""
    explain = """query($id: ID!) { attendanceDay(employeeId: $id, date: "2026-03-17") { explain { step value } } }"""
    viewer, steps = await fresh_rig.viewer(HR), []
    for clock in ("17T21:59", "17T22:00"):
        at_local(fresh_rig, clock)
        found = (await fresh_rig.data(explain, {"id": employee(GRACE)}, viewer))["attendanceDay"]["explain"]
        steps.append(found[-1])
    assert steps == [{"step": "status", "value": "PENDING"}, {"step": "status", "value": "INCOMPLETE"}]
