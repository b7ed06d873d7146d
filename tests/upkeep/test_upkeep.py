"""Upkeep with a clock moved by hand: each thing happens at its instant, once, and everybody hears of it at once."""

from datetime import UTC, date, datetime, timedelta

from db import upkeep
from jobs.upkeep import IDEMPOTENCY_LIFE, upkeep_once
from tests.kit.rig import Rig
from tests.kit.small_company import ALEX, BACKEND, FRONTEND, GRACE, HR, LINUS, MIA, MUMBAI, NEW_YORK, NOW, OMAR, ZOE
from tests.mutations.attending import check_days, contents, done, employee, problem, refused, seen, versions

DAY = "query($id: ID!, $date: Date!) { attendanceDay(employeeId: $id, date: $date) { status } }"
LIST = """query { attendance(filter: {period: {range: {from: "2026-03-18", to: "2026-03-18"}}}) {
  nodes { employee { fullName } status } totals { pendingCount } } }"""


async def once(rig: Rig, at: datetime | None = None) -> int:
    """One round of upkeep at an instant."""
    rig.clock.now = at or rig.clock.now
    return await upkeep_once(rig.database, rig.cache, rig.clock())


async def until_idle(rig: Rig, at: datetime | None = None) -> int:
    """Rounds of upkeep until nothing is left to do; how many days changed."""
    changed = 0
    while found := await once(rig, at):
        changed += found
    return changed


async def status(rig: Rig, who: int, day: str) -> str | None:
    """The status of a day, perhaps from the cache."""
    found = await rig.data(DAY, {"id": employee(who), "date": day}, await rig.viewer(HR))
    return found["attendanceDay"] and str(found["attendanceDay"]["status"])


async def test_a_pending_day_settles_at_its_instant(fresh_rig: Rig) -> None:
    await until_idle(fresh_rig)
    sql = "SELECT settles_at FROM attendance_day WHERE employee_id = 5 AND work_date = '2026-03-17'"
    [(settles,)] = await fresh_rig.records(sql)
    assert settles == datetime(
        2026, 3, 17, 16, 30, tzinfo=UTC
    )  # 18:00 in Mumbai, and the window of four hours after it
    await until_idle(fresh_rig, settles - timedelta(seconds=1))
    assert await status(fresh_rig, ALEX, "2026-03-17") == "PENDING"
    before = await versions(fresh_rig)
    assert await once(fresh_rig, settles) > 0
    assert await status(fresh_rig, ALEX, "2026-03-17") == "ABSENT"
    after = await versions(fresh_rig)
    assert after["day", ALEX, "2026-03-17"] == before["day", ALEX, "2026-03-17"] + 1
    await until_idle(fresh_rig)
    idle = await contents(fresh_rig)
    assert await once(fresh_rig) == 0
    assert await contents(fresh_rig) == idle
    await check_days(fresh_rig)


async def test_a_day_begins_at_midnight_where_the_employee_works(fresh_rig: Rig) -> None:
    viewer = await fresh_rig.viewer(HR)
    at = {
        "Mumbai": datetime(2026, 3, 17, 18, 30, tzinfo=UTC),
        "Berlin": datetime(2026, 3, 17, 23, 0, tzinfo=UTC),
        "New York": datetime(2026, 3, 18, 4, 0, tzinfo=UTC),
    }
    await until_idle(fresh_rig, at["Mumbai"] - timedelta(seconds=1))
    assert (await seen(fresh_rig, LIST, None, viewer))["attendance"]["nodes"] == []
    sql = "SELECT count(*) FROM attendance_day WHERE work_date = '2026-03-18'"
    found = []
    for instant in at.values():
        await until_idle(fresh_rig, instant - timedelta(seconds=1))
        await until_idle(fresh_rig, instant)
        found += await fresh_rig.records(sql)
    assert found == [(8,), (10,), (13,)]  # Zoe of Berlin keeps the clock of Mumbai; Leo has left
    listed = (await seen(fresh_rig, LIST, None, viewer))["attendance"]
    assert len(listed["nodes"]) == 13
    # Tess has no shift: her day is off
    assert listed["totals"]["pendingCount"] == 12
    await check_days(fresh_rig)


async def test_missed_days_are_caught_up(fresh_rig: Rig) -> None:
    await until_idle(fresh_rig, NOW + timedelta(days=5))
    sql = "SELECT count(*), CAST(max(work_date) AS text) FROM attendance_day WHERE employee_id = :who"
    assert await fresh_rig.records(f"{sql} AND work_date > '2026-03-17'", who=ALEX) == [(5, "2026-03-22")]
    pending = "SELECT DISTINCT CAST(work_date AS text) FROM attendance_day WHERE status = 'PENDING' AND employee_id = 5"
    assert await fresh_rig.records(pending) == []  # the 22nd is a Sunday
    await check_days(fresh_rig)


async def test_a_check_in_before_the_upkeep_leaves_no_gap(fresh_rig: Rig) -> None:
    fresh_rig.clock.forward(days=10)
    await done(fresh_rig, "checkIn", HR, employeeId=employee(ALEX))
    punch = {"badgeNo": "B-3", "at": fresh_rig.clock().isoformat(), "direction": "IN"}
    await done(fresh_rig, "recordPunches", HR, deviceCode="MUM-1", punches=[punch])
    sql = "SELECT employee_id, count(*) FROM attendance_day WHERE work_date > '2026-03-17' GROUP BY 1 ORDER BY 1"
    assert await fresh_rig.records(sql) == [(GRACE, 10), (ALEX, 10)]
    await until_idle(fresh_rig)
    await check_days(fresh_rig)


async def test_after_a_long_pause_somebody_without_recent_days_begins_today(fresh_rig: Rig) -> None:
    await until_idle(fresh_rig, NOW + timedelta(days=60))
    sql = "SELECT CAST(work_date AS text) FROM attendance_day WHERE employee_id = 5 AND work_date > '2026-03-17'"
    assert await fresh_rig.records(sql) == [("2026-05-16",)]


async def test_a_planned_move_takes_effect_on_its_date(fresh_rig: Rig) -> None:
    query = "query($id: ID!) { employee(id: $id) { department { code } location { code } version } }"
    viewer = await fresh_rig.viewer(HR)
    move = {"id": employee(GRACE), "effectiveFrom": "2026-03-18"}
    await done(fresh_rig, "saveEmployee", HR, **move, departmentId="RGVwYXJ0bWVudDo0", locationId="TG9jYXRpb246Mw")
    await until_idle(fresh_rig, datetime(2026, 3, 18, 3, 59, 59, tzinfo=UTC))
    planned = {"employee": {"department": {"code": "BACK"}, "location": {"code": "MUM"}, "version": 2}}
    assert await fresh_rig.data(query, {"id": employee(GRACE)}, viewer) == planned
    for _ in range(3):  # midnight in New York, where she works from then on
        await until_idle(fresh_rig, datetime(2026, 3, 18, 4, tzinfo=UTC))
        assert await fresh_rig.data(query, {"id": employee(GRACE)}, viewer) == {
            "employee": {"department": {"code": "FRONT"}, "location": {"code": "NYC"}, "version": 3}
        }
    assert await fresh_rig.records(
        "SELECT department_id, location_id FROM attendance_day WHERE employee_id = 3 AND work_date = '2026-03-18'"
    ) == [(FRONTEND, NEW_YORK)]
    await check_days(fresh_rig)


async def test_a_move_eastward_does_not_swing_back(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:  # Omar of New York goes to Mumbai on the 18th
        sql = "UPDATE employee_posting SET valid_to = '2026-03-17' WHERE employee_id = 8 RETURNING employee_id"
        await rows.run(sql)
        await rows.posting(OMAR, date(2026, 3, 18), None, BACKEND, MUMBAI)
    place = "SELECT location_id, version FROM employee WHERE id = 8"
    await until_idle(fresh_rig, datetime(2026, 3, 17, 18, 29, tzinfo=UTC))
    assert await fresh_rig.records(place) == [(NEW_YORK, 1)]
    for minutes in (0, 1, 300):
        await until_idle(fresh_rig, datetime(2026, 3, 17, 18, 30, tzinfo=UTC) + timedelta(minutes=minutes))
        assert await fresh_rig.records(place) == [(MUMBAI, 2)]


async def test_a_leaver_is_gone_the_day_after(fresh_rig: Rig) -> None:
    await done(fresh_rig, "saveEmployee", HR, id=employee(ALEX), leftOn="2026-03-18")
    state = "SELECT status, version FROM employee WHERE id = 5"
    await until_idle(fresh_rig, datetime(2026, 3, 18, 18, 29, 59, tzinfo=UTC))
    assert await fresh_rig.records(state) == [("ACTIVE", 2)]
    await until_idle(fresh_rig, datetime(2026, 3, 18, 18, 30, tzinfo=UTC))
    assert await fresh_rig.records(state) == [("TERMINATED", 3)]
    await until_idle(fresh_rig)
    assert await fresh_rig.records(state) == [("TERMINATED", 3)]
    assert await status(fresh_rig, ALEX, "2026-03-19") is None


async def test_a_locked_pending_day_does_not_keep_others_from_beginning(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        sql = "UPDATE attendance_day SET locked = true WHERE employee_id = 5 AND work_date = '2026-03-17'"
        await rows.run(f"{sql} RETURNING version")
    await until_idle(fresh_rig, NOW + timedelta(days=1))
    assert await status(fresh_rig, ALEX, "2026-03-17") == "PENDING"
    assert await status(fresh_rig, ZOE, "2026-03-18") == "PENDING"
    assert await status(fresh_rig, LINUS, "2026-03-18") == "PENDING"


async def test_one_leads_and_the_others_do_nothing(fresh_rig: Rig) -> None:
    fresh_rig.clock.forward(days=1)
    before = await contents(fresh_rig)
    async with fresh_rig.database.transaction() as connection:
        assert await upkeep.lead(connection)
        assert await once(fresh_rig) == 0
        assert await contents(fresh_rig) == before
    assert await once(fresh_rig) > 0


async def test_partitions_are_made_ahead(empty_rig: Rig) -> None:
    await once(empty_rig, datetime(2031, 11, 20, tzinfo=UTC))
    sql = "SELECT relname FROM pg_class WHERE relispartition AND relname ~ '^(punch|attendance_day)_203[0-9]{3}$'"
    assert [name for (name,) in await empty_rig.records(f"{sql} ORDER BY 1")] == [
        f"{table}_{month}" for table in ("attendance_day", "punch") for month in (203111, 203112, 203201, 203202)
    ]
    assert await once(empty_rig) == 0


async def test_old_keys_are_forgotten_and_young_ones_kept(fresh_rig: Rig) -> None:
    marks = {"items": [{"employeeId": employee(MIA), "date": "2026-03-16", "status": "PRESENT"}], "reason": "why"}
    await done(fresh_rig, "markAttendance", HR, **marks, idempotencyKey="k")
    [(made,)] = await fresh_rig.records("SELECT created_at FROM idempotency_key")
    await once(fresh_rig, made + IDEMPOTENCY_LIFE)
    assert await fresh_rig.records("SELECT key FROM idempotency_key") == [("k",)]
    mismatch = problem(
        "GenericUserError",
        "IDEMPOTENCY_MISMATCH",
        "input.idempotencyKey: was used for another request; repeat that one, or use another key",
        *("input", "idempotencyKey"),
    )
    assert await refused(fresh_rig, "markAttendance", HR, items=[], reason="", idempotencyKey="k") == [mismatch]
    await once(fresh_rig, made + IDEMPOTENCY_LIFE + timedelta(seconds=1))
    assert await fresh_rig.records("SELECT key FROM idempotency_key") == []
