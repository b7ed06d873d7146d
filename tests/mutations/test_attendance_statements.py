"""What a mutation of attendance costs in statements: each fact is read once, however early or late the punch is."""

from domain.permission import Viewer
from tests.kit.rig import Rig
from tests.kit.round_trips import recorded
from tests.kit.small_company import ALEX, DEVICE, FLEX, GRACE, HR, MIA
from tests.mutations.attending import answer, check_days, done, employee, shift

FACTS = ["facts_company", "facts_employee", "day_existing"]
DAYS = ["day_upsert", "roll_up_lock", "roll_up_clear", "roll_up_fill"]
COMMIT = ["cache_pending", "position"]
CHECK = ["employee_by_id", "day_lock_employees", *FACTS, "punch_insert", *DAYS, *COMMIT]


async def _hr(rig: Rig, *seen: int) -> Viewer:
    """HR, who has just looked at somebody, so that the zone of an answer's clock times is in the cache."""
    hr = await rig.viewer(HR)
    for key in seen:
        await rig.data("query($id: ID!) { employee(id: $id) { fullName } }", {"id": employee(key)}, hr)
    return hr


async def test_a_check_reads_each_fact_once(fresh_rig: Rig) -> None:
    hr = await _hr(fresh_rig, ALEX)
    for field in ("checkIn", "checkOut", "checkIn"):
        with recorded() as made:
            await done(fresh_rig, field, hr, employeeId=employee(ALEX))
        assert made.sql == CHECK
        fresh_rig.clock.forward(minutes=30)


async def test_one_of_the_past_as_well(fresh_rig: Rig) -> None:
    """Where somebody was before later punches is worked out from the facts that are there already."""
    hr = await _hr(fresh_rig, GRACE)
    with recorded() as made:
        await done(fresh_rig, "checkIn", hr, employeeId=employee(GRACE), at="2026-03-15T10:00:00Z")
    assert made.sql == CHECK


async def test_a_key_costs_three_statements_and_a_retry_only_those_that_find_it(fresh_rig: Rig) -> None:
    hr, keyed = await _hr(fresh_rig, ALEX), {"employeeId": employee(ALEX), "clientEventId": "phone-1"}
    with recorded() as made:
        await done(fresh_rig, "checkIn", hr, **keyed)
    assert made.sql == ["idempotency_lock", "idempotency_find", *CHECK[:-2], "idempotency_store", *COMMIT]
    with recorded() as made:
        await done(fresh_rig, "checkIn", hr, **keyed)
    assert made.sql == ["idempotency_lock", "idempotency_find", *COMMIT]


async def test_what_is_refused_writes_nothing(fresh_rig: Rig) -> None:
    hr = await fresh_rig.viewer(HR)
    with recorded() as made:
        [wrong] = (await answer(fresh_rig, "checkOut", hr, employeeId=employee(MIA)))["userErrors"]
    assert wrong["code"] == "NOT_CHECKED_IN"
    assert made.sql == ["employee_by_id", "day_lock_employees", *FACTS]


async def test_days_that_nobody_began_are_begun_before_the_one_of_the_punch(fresh_rig: Rig) -> None:
    """The service was down for a week: no date between the latest day and the punch is left out."""
    hr, dates = await _hr(fresh_rig, ALEX), "SELECT work_date FROM attendance_day WHERE employee_id = :id ORDER BY 1"
    known = await fresh_rig.records(dates, id=ALEX)
    async with fresh_rig.rows() as rows:
        gone = "DELETE FROM attendance_day WHERE employee_id = :id AND work_date > '2026-03-10' RETURNING work_date"
        assert len(await rows.run(gone, id=ALEX)) == 7
    with recorded() as made:
        await done(fresh_rig, "checkIn", hr, employeeId=employee(ALEX))
    assert made.sql == [*CHECK[:2], *FACTS, "day_latest", *FACTS, *CHECK[5:]]
    assert await fresh_rig.records(dates, id=ALEX) == known
    await check_days(fresh_rig, ALEX)


async def test_employees_are_locked_once_to_mark_days_of_theirs(fresh_rig: Rig) -> None:
    hr = await _hr(fresh_rig, ALEX, MIA)
    items = [{"employeeId": employee(key), "date": "2026-03-16", "status": "ABSENT"} for key in (ALEX, MIA)]
    with recorded() as made:
        await done(fresh_rig, "markAttendance", hr, items=items, reason="A fair.")
    known = ["employee_by_id", "day_lock_employees", "day_by_key"]
    assert made.sql == [*known, "override_upsert", *FACTS, *DAYS, "day_by_key", *COMMIT]


async def test_employees_are_locked_once_to_record_punches_of_days_far_apart(fresh_rig: Rig) -> None:
    device = await fresh_rig.viewer(DEVICE)
    punches = [{"badgeNo": "B-3", "at": f"2026-{at}T04:40:00Z"} for at in ("03-17", "03-03")]
    with recorded() as made:
        await done(fresh_rig, "recordPunches", device, deviceCode="MUM-1", punches=punches)
    known = ["device_by_code", "badges_hand_in", "employees_by_badge", "day_lock_employees"]
    added = ["punch_insert_many", "punch_insert_unmatched"]
    assert made.sql == [*known, *added, "day_latest", *FACTS, "day_latest", *FACTS, *DAYS, *COMMIT]


async def test_employees_are_locked_once_to_assign_them_a_shift(fresh_rig: Rig) -> None:
    hr, whom = await _hr(fresh_rig, ALEX, MIA), [employee(ALEX), employee(MIA)]
    wanted = {"shiftId": shift(FLEX), "from": "2026-03-16", "to": "2026-03-17", "replaceOverlapping": True}
    with recorded() as made:
        await done(fresh_rig, "assignShift", hr, employeeIds=whom, **wanted)
    known = ["employee_by_id", "shift_by_id", "day_lock_employees"]
    assigned = ["assignments_overlapping", "assignments_delete", "assignments_insert", "assignments_insert"]
    assert made.sql == [*known, *assigned, *FACTS, *DAYS, *COMMIT]
