"""Any history: the roll-up sums the days up, the days follow from their facts, versions only rise."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.ids import encode_id
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.kit.small_company import ALAN, ALEX, GRACE, HR, INES, LINUS, NINA, NOW, OMAR, TESS, ZOE, fill_small_company
from tests.mutations.attending import answer, check_days, employee, recomputed, shift, versions, voided

PEOPLE = st.sampled_from([ALAN, ALEX, GRACE, LINUS, NINA, OMAR, TESS, ZOE, INES])
DAYS_AGO = st.integers(0, 20)
INSTANTS = st.integers(0, 8 * 24 * 4).map(lambda quarters: NOW - timedelta(minutes=15 * quarters))
DATES = DAYS_AGO.map(lambda days: (NOW - timedelta(days=days)).date())


def text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


@st.composite
def steps(draw: Callable[[Any], Any]) -> tuple[str, Any]:
    kind = draw(st.sampled_from(["in", "out", "device", "void", "mark", "assign", "move", "shift", "dates", "time"]))
    who = draw(PEOPLE)
    match kind:
        case "in" | "out":
            return "checkIn" if kind == "in" else "checkOut", {"employeeId": employee(who), "at": text(draw(INSTANTS))}
        case "device":
            directions = st.sampled_from(["IN", "OUT", "UNKNOWN", "BREAK_START", "BREAK_END"])
            punches = draw(st.lists(st.tuples(INSTANTS, directions), min_size=1, max_size=4))
            shown = [{"badgeNo": "B-3", "at": text(at), "direction": way} for at, way in punches]
            return "recordPunches", {"deviceCode": "MUM-1", "punches": shown}
        case "void":
            return "void", draw(st.integers(1, 260))
        case "mark":
            status = draw(st.sampled_from(["PRESENT", "ABSENT", "HALF_DAY", "ON_LEAVE", "WEEKLY_OFF"]))
            item = {"employeeId": employee(who), "date": f"{draw(DATES)}", "status": status}
            return "markAttendance", {"items": [item], "reason": "told so"}
        case "assign":
            first, days = draw(DATES), draw(st.integers(0, 10))
            weekdays = draw(st.none() | st.sets(st.integers(1, 7), min_size=1))
            return "assignShift", {
                "employeeIds": [employee(who)],
                "shiftId": shift(draw(st.integers(1, 3))),
                "from": f"{first}",
                "to": f"{first + timedelta(days=days)}",
                "isoWeekdays": None if weekdays is None else sorted(weekdays),
                "replaceOverlapping": True,
            }
        case "move":
            place = {"departmentId": encode_id("Department", draw(st.integers(1, 7)))}
            return "saveEmployee", {"id": employee(who), "effectiveFrom": f"{draw(DATES)}", **place}
        case "shift":
            default = draw(st.none() | st.integers(1, 3).map(shift))
            return "saveEmployee", {"id": employee(who), "defaultShiftId": default}
        case "dates":
            return "saveEmployee", {"id": employee(who), "leftOn": draw(st.none() | DATES.map(str))}
        case _:
            return "time", draw(st.integers(1, 40))


async def step(rig: Rig, kind: str, input_: Any) -> None:
    if kind == "time":
        rig.clock.forward(minutes=30 * input_)
        await recomputed(rig, HR, {"period": {"range": {"from": "2026-02-23", "to": "2026-04-30"}}})
    elif kind == "void":
        await voided(rig, HR, input_)
    else:
        await answer(rig, kind, HR, **input_)


async def play(rig: Rig, history: list[tuple[str, Any]]) -> None:
    before = await versions(rig)
    for kind, input_ in history:
        await step(rig, kind, input_)
        after = await versions(rig)
        assert all(after.get(key, version) >= version for key, version in before.items())
        before = after
    await check_days(rig)


@settings(
    max_examples=12,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(history=st.lists(steps(), min_size=1, max_size=8))
def test_any_history(databases: Databases, history: list[tuple[str, Any]]) -> None:
    url = databases.new("small_company", fill_small_company)

    async def run() -> None:
        async with open_rig(url, databases.redis_url, NOW) as rig:
            await play(rig, history)

    asyncio.run(run())
    databases.drop(url)
