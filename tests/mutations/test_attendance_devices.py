"""Punches of devices: new, known, unmatched and adopted; once, however often they are handed in."""

import asyncio
from typing import Any

import pytest

from db.punch_writes import BadgePunch, record_device_punches
from domain.enums import PunchDirection
from loaders.unit_of_work import unit_of_work
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    ALEX,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    HR,
    HR_OPERATIONS,
    MANAGER,
    PAYROLL_MUMBAI,
)
from tests.mutations.attending import check_days, contents, done, employee, invalid, problem, refused
from tests.mutations.changing import waits


def punch(at: str, badge: str = "B-3", way: str = "UNKNOWN", **more: Any) -> dict[str, Any]:
    """A punch of 2026-03-17 as a device hands it in."""
    return {"badgeNo": badge, "at": f"2026-03-17T{at}:00Z", "direction": way} | more


async def record(rig: Rig, *punches: dict[str, Any], user: str = DEVICE, device: str = "MUM-1") -> Any:
    """(accepted, duplicates, unmatched)."""
    found = await done(rig, "recordPunches", user, deviceCode=device, punches=list(punches))
    return found["accepted"], found["duplicates"], found["unmatched"]


async def test_new_known_and_unmatched(fresh_rig: Rig) -> None:
    batch = [punch("04:30", way="OUT"), punch("04:30", way="OUT"), punch("04:50", " B-3 ", "IN"), punch("04:40", "X-9")]
    assert await record(fresh_rig, *batch) == (2, 1, 1)
    sql = "SELECT direction, source, device_id FROM punch WHERE punched_at >= '2026-03-17T04:30Z' AND employee_id = 3"
    assert await fresh_rig.records(f"{sql} ORDER BY punched_at") == [("OUT", "DEVICE", 1), ("IN", "DEVICE", 1)]
    await check_days(fresh_rig)
    before = await contents(fresh_rig)
    assert await record(fresh_rig, *reversed(batch), device="mum-1 ") == (0, 4, 0)
    assert await contents(fresh_rig) == before


async def test_an_event_is_recorded_once_whatever_its_time(fresh_rig: Rig) -> None:
    one = punch("04:30", way="OUT", clientEventId="e1")
    corrected = punch("04:31", way="OUT", clientEventId="e1")
    assert await record(fresh_rig, one, corrected) == (1, 1, 0)
    assert await record(fresh_rig, corrected, punch("04:45", way="IN", clientEventId="e2")) == (1, 1, 0)
    assert await fresh_rig.records("SELECT client_event_id FROM punch WHERE client_event_id > '' ORDER BY 1") == [
        ("e1",),
        ("e2",),
    ]


async def test_an_event_of_an_unmatched_badge_is_kept_once_and_follows_the_badge(fresh_rig: Rig) -> None:
    first = punch("03:40", "B-5", "IN", clientEventId="e1")
    corrected = punch("03:45", "B-5", "IN", clientEventId="e1")
    assert await record(fresh_rig, first, corrected) == (0, 1, 1)
    assert await record(fresh_rig, corrected) == (0, 1, 0)
    assert await fresh_rig.records("SELECT badge_no, client_event_id FROM punch_unmatched") == [("B-5", "e1")]
    await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), badgeNo="B-5")
    assert await fresh_rig.records("SELECT count(*) FROM punch_unmatched") == [(0,)]
    assert await record(fresh_rig, corrected) == (0, 1, 0)
    sql = "SELECT client_event_id FROM punch WHERE employee_id = 5 AND punched_at >= '2026-03-17T03:00Z'"
    assert await fresh_rig.records(sql) == [("e1",)]
    await check_days(fresh_rig)


async def test_a_badge_that_is_assigned_while_a_device_hands_in_misses_no_punch(fresh_rig: Rig) -> None:
    """Either way: the device's transaction has not ended when the badge is assigned, or begins meanwhile."""
    async with unit_of_work(fresh_rig.database, fresh_rig.cache) as handing_in:
        found = await record_device_punches(
            handing_in.connection, 1, [BadgePunch("B-5", fresh_rig.clock(), PunchDirection.IN, None)]
        )
        assert (found.new, found.unmatched) == ((), 1)
        assigning = asyncio.create_task(done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), badgeNo="B-5"))
        assert await waits(fresh_rig, assigning)
    await assigning
    assert await fresh_rig.records("SELECT count(*) FROM punch_unmatched") == [(0,)]
    assert await fresh_rig.records(
        "SELECT count(*) FROM punch WHERE employee_id = 5 AND punched_at >= '2026-03-17'"
    ) == [(1,)]
    await check_days(fresh_rig)


async def test_a_stray_old_punch_derives_its_own_days_only(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE employee SET badge_no = 'B-5' WHERE id = 5 RETURNING id")
    sql = "SELECT count(*) FROM attendance_day WHERE employee_id = 5"
    before = await fresh_rig.records(sql)
    old = {"badgeNo": "B-3", "at": "2025-11-04T04:00:00Z", "direction": "IN"}
    assert await record(fresh_rig, old, punch("04:30", "B-5", "IN")) == (2, 0, 0)
    assert await fresh_rig.records(sql) == before
    found = await fresh_rig.records("SELECT work_date FROM attendance_day WHERE work_date < '2026-01-01' ORDER BY 1")
    assert [f"{day}" for (day,) in found] == ["2025-11-02", "2025-11-03", "2025-11-04", "2025-11-05"]
    await check_days(fresh_rig)


async def test_unmatched_punches_become_those_of_who_gets_the_badge(fresh_rig: Rig) -> None:
    query = "query($id: ID!) { employee(id: $id) { presence { state } } }"
    viewer = await fresh_rig.viewer(HR)
    await fresh_rig.warm(query, {"id": employee(ALEX)}, viewer)
    assert await record(fresh_rig, punch("03:40", "B-5", "IN"), punch("03:40", "B-5", "IN")) == (0, 1, 1)
    await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), badgeNo="B-5")
    assert await fresh_rig.records("SELECT count(*) FROM punch_unmatched") == [(0,)]
    sql = "SELECT late_minutes, version FROM attendance_day WHERE employee_id = 5 AND work_date = '2026-03-17'"
    assert await fresh_rig.records(sql) == [(10, 2)]
    assert await fresh_rig.data(query, {"id": employee(ALEX)}, viewer) == {"employee": {"presence": {"state": "IN"}}}
    assert await record(fresh_rig, punch("03:40", "B-5", "IN")) == (0, 1, 0)
    await check_days(fresh_rig)


async def test_the_same_batch_twice_at_once(fresh_rig: Rig) -> None:
    batch = [punch(f"04:{minute}", way="IN", clientEventId=f"e{minute}") for minute in range(10, 40)]
    found = await asyncio.gather(*(record(fresh_rig, *batch, punch("04:40", "X-1")) for _ in range(2)))
    assert sorted(found) == [(0, 31, 0), (30, 0, 1)]
    await check_days(fresh_rig)


async def test_no_punches_are_no_change(rig: Rig) -> None:
    before = await contents(rig)
    assert await record(rig) == (0, 0, 0)
    assert await contents(rig) == before


NO_DEVICE = invalid("input.deviceCode: there is no such device in your reach", "input", "deviceCode", code="NOT_FOUND")
FORBIDDEN = problem("Forbidden", "FORBIDDEN", "needed a grant to hand in punches of devices", neededRole="DEVICE")


@pytest.mark.parametrize("user", [EMPLOYEE, MANAGER, ANALYST, AUDITOR, PAYROLL_MUMBAI, ADMIN, HR_OPERATIONS])
async def test_who_speaks_for_no_device(rig: Rig, user: str) -> None:
    for code in ("MUM-1", "NONE"):
        assert await refused(rig, "recordPunches", user, deviceCode=code, punches=[punch("04:00")]) == [FORBIDDEN]


async def test_devices_of_other_locations(rig: Rig) -> None:
    for user, code in ((DEVICE, "NYC-1"), (DEVICE, "NONE"), (HR, "NONE")):
        assert await refused(rig, "recordPunches", user, deviceCode=code, punches=[punch("04:00")]) == [NO_DEVICE]


async def test_hr_speaks_for_every_device(fresh_rig: Rig) -> None:
    assert await record(fresh_rig, punch("04:00", way="OUT"), user=HR, device="NYC-1") == (1, 0, 0)
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE device SET is_active = false RETURNING id")
    wrong = invalid("input.deviceCode: the device is not active any more", "input", "deviceCode")
    assert await refused(fresh_rig, "recordPunches", HR, deviceCode="NYC-1", punches=[]) == [wrong]


async def test_every_wrong_punch_is_told_and_none_is_written(rig: Rig) -> None:
    wrong = [
        punch("04:00"),
        punch("04:01", " "),
        punch("04:02", "9" * 65),
        punch("05:03"),
        {"badgeNo": "B-3", "at": "2025-02-10T04:59:59Z"},
    ]
    where = ("input", "punches")
    assert await refused(rig, "recordPunches", DEVICE, deviceCode="MUM-1", punches=wrong) == [
        invalid("input.punches[1].badgeNo: needed 1 to 64 characters, got 1", *where, "1", "badgeNo"),
        invalid("input.punches[2].badgeNo: needed 1 to 64 characters, got 65", *where, "2", "badgeNo"),
        invalid(
            "input.punches[3].at: needed an instant that has come, got 2026-03-17T05:03:00Z",
            *where,
            "3",
            "at",
            code="FUTURE_TIME",
        ),
        invalid(
            "input.punches[4].at: needed an instant of the last 400 days, got 2025-02-10T04:59:59Z", *where, "4", "at"
        ),
    ]
    many = [punch("04:00")] * 1_001
    assert await refused(rig, "recordPunches", DEVICE, deviceCode="MUM-1", punches=many) == [
        problem("GenericUserError", "TOO_MANY", "input.punches: needed at most 1000 punches at once, got 1001", *where)
    ]


async def test_the_limits_are_accepted(fresh_rig: Rig) -> None:
    edge = [{"badgeNo": "B-3", "at": "2025-02-10T05:00:00Z"}, punch("05:02"), punch("04:59", "9" * 64)]
    assert await record(fresh_rig, *edge) == (2, 0, 1)
    assert await record(fresh_rig, *edge) == (0, 3, 0)
