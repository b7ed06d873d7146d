"""Retries: what they show is what was answered first, whatever has changed since, on every worker."""

import asyncio
from typing import Any

import msgspec
import orjson
import pytest

from domain.enums import Role
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.kit.small_company import ALEX, GRACE, HR, MIA, NOW, fill_small_company
from tests.kit.viewers import as_viewer
from tests.mutations.attending import answer, contents, day, done, employee, problem, refused

CHECK_IN = {"employeeId": employee(ALEX), "clientEventId": "phone-1"}
MARKS: dict[str, Any] = {
    "items": [
        {"employeeId": employee(MIA), "date": "2026-03-16", "status": "ABSENT"},
        {"employeeId": employee(GRACE), "date": "2026-03-16", "status": "ABSENT", "expectedVersion": 9},
    ],
    "reason": "why",
    "allOrNothing": False,
    "idempotencyKey": "k",
}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_a_retried_check_in_shows_the_day_as_it_was_then(fresh_rig: Rig) -> None:
    first = await done(fresh_rig, "checkIn", HR, **CHECK_IN)
    assert (first["day"]["version"], first["day"]["lastOut"]) == (2, None)
    fresh_rig.clock.forward(minutes=30)
    later = await done(fresh_rig, "checkOut", HR, employeeId=employee(ALEX))
    assert (later["day"]["version"], later["day"]["lastOut"]) == (3, {"local": "2026-03-17T11:00"})
    before = await contents(fresh_rig)
    assert orjson.dumps(await done(fresh_rig, "checkIn", HR, **CHECK_IN)) == orjson.dumps(first)
    assert await contents(fresh_rig) == before


NESTED = """mutation($input: CheckInput!) { checkIn(input: $input) { userErrors { code }
  punch { id direction voided at { local } day { version } }
  day { version lastOut { local } workedMinutes punches { direction } explain { step value }
    employee { fullName } } } }"""


async def test_what_a_retry_reaches_from_its_rows_is_read_as_it_is_now(fresh_rig: Rig) -> None:
    """The punch and the day are those of the first answer; their lists and neighbours are not part of them."""
    hr, asked = await fresh_rig.viewer(HR), {"input": CHECK_IN}
    first = (await fresh_rig.data(NESTED, asked, hr))["checkIn"]
    assert first["day"]["punches"] == [{"direction": "IN"}]
    fresh_rig.clock.forward(minutes=30)
    await done(fresh_rig, "checkOut", HR, employeeId=employee(ALEX))
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE employee SET full_name = 'Alex Moved' WHERE id = :id RETURNING id", id=ALEX)
    again = (await fresh_rig.data(NESTED, asked, hr))["checkIn"]
    steps = {step["step"]: step["value"] for step in again["day"].pop("explain")}
    assert steps != {step["step"]: step["value"] for step in first["day"].pop("explain")}
    now = {"punches": [{"direction": "IN"}, {"direction": "OUT"}], "employee": {"fullName": "Alex Moved"}}
    assert again == first | {"day": first["day"] | now, "punch": first["punch"] | {"day": {"version": 3}}}
    assert (first["punch"]["day"], first["day"]["version"], first["day"]["lastOut"]) == ({"version": 2}, 2, None)


async def test_a_retry_whose_employee_is_out_of_reach_now_gets_the_rows_that_it_had(fresh_rig: Rig) -> None:
    await done(fresh_rig, "checkIn", HR, **CHECK_IN)
    nobody = as_viewer(Role.EMPLOYEE)
    query = """mutation($input: CheckInput!) { checkIn(input: $input) { punch { direction } day { version MORE } } }"""
    user_id = (await fresh_rig.viewer(HR)).user_id
    viewer = msgspec.structs.replace(nobody, user_id=user_id)
    kept = await fresh_rig.execute(query.replace("MORE", ""), {"input": CHECK_IN}, viewer)
    assert (kept.errors, kept.data["checkIn"]) == ([], {"punch": {"direction": "IN"}, "day": {"version": 2}})
    [error] = (await fresh_rig.execute(query.replace("MORE", "employee { id }"), {"input": CHECK_IN}, viewer)).errors
    assert (error["extensions"]["code"], error["message"]) == (
        "FORBIDDEN",
        "the employee of this day is out of reach now",
    )


async def test_retried_marks_show_days_and_conflicts_as_they_were_then(fresh_rig: Rig) -> None:
    query = """mutation($input: MarkAttendanceInput!) { markAttendance(input: $input) { days { id status version }
      userErrors { code path ... on Conflict { currentVersion current { id ... on AttendanceDay { status } } } } } }"""
    hr = await fresh_rig.viewer(HR)
    first = await fresh_rig.data(query, {"input": MARKS}, hr)
    assert first["markAttendance"] == {
        "days": [{"id": day(MIA, "2026-03-16"), "status": "ABSENT", "version": 2}],
        "userErrors": [
            {
                "code": "CONFLICT",
                "path": ["input", "items", "1", "expectedVersion"],
                "currentVersion": 1,
                "current": {"id": day(GRACE, "2026-03-16"), "status": "PRESENT"},
            }
        ],
    }
    both = [{"employeeId": employee(who), "date": "2026-03-16", "status": "HALF_DAY"} for who in (MIA, GRACE)]
    await done(fresh_rig, "markAttendance", HR, items=both, reason="later")
    assert orjson.dumps(await fresh_rig.data(query, {"input": MARKS}, hr)) == orjson.dumps(first)


@pytest.mark.parametrize("kept", ["answer_shape = 'of another version'", "answer_shape = NULL, answer = NULL"])
async def test_an_answer_in_another_shape_is_read_again(fresh_rig: Rig, kept: str) -> None:
    first = await done(fresh_rig, "checkIn", HR, **CHECK_IN)
    marked = await answer(fresh_rig, "markAttendance", HR, **MARKS)
    fresh_rig.clock.forward(minutes=30)
    later = await done(fresh_rig, "checkOut", HR, employeeId=employee(ALEX))
    async with fresh_rig.rows() as rows:
        await rows.run(f"UPDATE idempotency_key SET {kept} RETURNING key")
    assert await done(fresh_rig, "checkIn", HR, **CHECK_IN) == first | {"day": later["day"]}
    assert await answer(fresh_rig, "markAttendance", HR, **MARKS) == marked


async def test_a_refused_attempt_keeps_nothing_and_its_retry_tries_again(fresh_rig: Rig) -> None:
    all_or_nothing = MARKS | {"allOrNothing": True}
    before = await contents(fresh_rig)
    for _ in range(2):
        [wrong] = await refused(fresh_rig, "markAttendance", HR, **all_or_nothing)
        assert wrong["code"] == "CONFLICT"
    assert await contents(fresh_rig) == before
    await done(fresh_rig, "markAttendance", HR, **all_or_nothing | {"items": MARKS["items"][:1]})
    mismatch = "input.idempotencyKey: was used for another request; repeat that one, or use another key"
    assert await refused(fresh_rig, "markAttendance", HR, **all_or_nothing) == [
        problem("GenericUserError", "IDEMPOTENCY_MISMATCH", mismatch, "input", "idempotencyKey")
    ]


async def test_of_retries_at_once_on_two_workers_one_writes_and_all_get_its_answer(databases: Databases) -> None:
    url = await asyncio.to_thread(databases.new, "small_company", fill_small_company)
    async with open_rig(url, databases.redis_url, NOW) as one:
        other = Rig(url, databases.redis_url, NOW)
        other.cache = one.cache
        punches = len((await contents(one))["punch"])
        async with one.rows() as rows:  # keeps the first at the employee, and the others behind the first
            await rows.run("SELECT id FROM employee WHERE id = :id FOR UPDATE", id=ALEX)
            retries = [asyncio.create_task(answer(rig, "checkIn", HR, **CHECK_IN)) for rig in (one, other, other)]
            while await one.records(WAITING) != [(3,)]:
                await asyncio.sleep(0)
        found = await asyncio.gather(*retries)
        assert found[0]["userErrors"] == []
        assert {orjson.dumps(payload) for payload in found} == {orjson.dumps(found[0])}
        after = await contents(one)
        assert (len(after["punch"]), len(after["idempotency_key"])) == (punches + 1, 1)
        await other.database.close()
    await asyncio.to_thread(databases.drop, url)
