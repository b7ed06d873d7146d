"""saveShiftRule: versions that close one another, never rewrite the past, and derive again what they cover."""

from datetime import date
from typing import Any

import pytest

from tests.kit.rig import Rig
from tests.kit.small_company import ALEX, DAY, FLEX, GRACE, HR, INES, NIGHT, TESS
from tests.mutations.changing import PROBLEMS, change, employee, problem, shift

RULES = "SELECT valid_from::text, valid_to::text, start_time::text, grace_in_minutes FROM shift_rule"
FIRST, SECOND = ("2020-01-01", "2026-03-08", "09:00:00", 10), ("2026-03-09", None, "09:00:00", 5)


async def save(rig: Rig, valid_from: str, key: int = DAY, *, dry_run: bool = False, **fields: Any) -> Any:
    """What saveShiftRule answers, as (rule, changedDays, problems)."""
    query = f"""mutation($input: ShiftRuleInput!, $dry: Boolean) {{ saveShiftRule(input: $input, dryRun: $dry) {{
      rule {{ validFrom validTo graceInMinutes }} changedDays {PROBLEMS} }} }}"""
    input_ = {"shiftId": shift(key), "validFrom": valid_from, "startTime": "09:00", "endTime": "18:00"} | fields
    data = await rig.data(query, {"input": input_, "dry": dry_run}, await rig.viewer(HR))
    return data["saveShiftRule"]


async def rules(rig: Rig, key: int = DAY) -> list[tuple[Any, ...]]:
    return await rig.records(f"{RULES} WHERE shift_id = :id ORDER BY valid_from", id=key)


async def test_a_version_to_come_closes_the_one_before_and_keeps_its_values(fresh_rig: Rig) -> None:
    query = f'{{ node(id: "{shift(DAY)}") {{ ... on Shift {{ rules {{ validFrom validTo graceInMinutes }} }} }} }}'
    await fresh_rig.warm(query, None, await fresh_rig.viewer(HR))
    saved = await save(fresh_rig, "2026-04-01", startTime="10:00")
    rule = {"validFrom": "2026-04-01", "validTo": None, "graceInMinutes": 5}
    assert saved == {"rule": rule, "changedDays": 0, "userErrors": []}
    closed = ("2026-03-09", "2026-03-31", "09:00:00", 5)
    assert await rules(fresh_rig) == [FIRST, closed, ("2026-04-01", None, "10:00:00", 5)]
    shown = (await fresh_rig.data(query, None, await fresh_rig.viewer(HR)))["node"]["rules"]
    assert shown == [
        {"validFrom": "2020-01-01", "validTo": "2026-03-08", "graceInMinutes": 10},
        {"validFrom": "2026-03-09", "validTo": "2026-03-31", "graceInMinutes": 5},
        rule,
    ]


async def test_a_version_ends_before_the_next_and_can_be_replaced_until_it_begins(fresh_rig: Rig) -> None:
    await save(fresh_rig, "2026-05-01", graceInMinutes=1)
    await save(fresh_rig, "2026-04-01", graceInMinutes=2)
    between = ("2026-04-01", "2026-04-30", "09:00:00", 2)
    closed, last = ("2026-03-09", "2026-03-31", "09:00:00", 5), ("2026-05-01", None, "09:00:00", 1)
    assert await rules(fresh_rig) == [FIRST, closed, between, last]
    saved = await save(fresh_rig, "2026-04-01", startTime="08:00")  # what is left out comes from March, not from itself
    assert saved["userErrors"] == []
    assert await rules(fresh_rig) == [FIRST, closed, ("2026-04-01", "2026-04-30", "08:00:00", 5), last]


@pytest.mark.parametrize("day", ["2026-03-09", "2026-03-17"])
async def test_a_version_that_has_begun_stays(fresh_rig: Rig, day: str) -> None:
    await save(fresh_rig, "2026-03-17", graceInMinutes=3)
    before = await rules(fresh_rig)
    wanted = f"input.validFrom: the version of {day} is in force already and stays as it is; choose a later date"
    assert (await save(fresh_rig, day))["userErrors"] == [problem("INVALID", wanted, "input", "validFrom")]
    assert await rules(fresh_rig) == before


async def test_tomorrow_has_begun_where_the_date_has_changed(fresh_rig: Rig) -> None:
    await save(fresh_rig, "2026-03-18", graceInMinutes=3)
    assert (await save(fresh_rig, "2026-03-18", graceInMinutes=4))["userErrors"] == []
    fresh_rig.clock.forward(hours=14)  # 19:00 in London, 00:30 on the 18th in Mumbai
    assert [found["code"] for found in (await save(fresh_rig, "2026-03-18"))["userErrors"]] == ["INVALID"]


DAY_QUERY = """query($e: ID!) {
  attendanceDay(employeeId: $e, date: "2026-03-16") { lateMinutes exceptions version }
  employee(id: $e) { schedule(period: {range: {from: "2026-03-16", to: "2026-03-16"}}) { startsAt { local } } }
  attendance(filter: {period: {range: {from: "2026-03-16", to: "2026-03-16"}}, exceptions: [LATE_IN]}) { totalCount }
  stats(filter: {period: {range: {from: "2026-03-16", to: "2026-03-16"}}}) { totals { lateCount } } }"""


async def seen(rig: Rig, key: int = ALEX) -> Any:
    found = await rig.data(DAY_QUERY, {"e": employee(key)}, await rig.viewer(HR))
    day = found["attendanceDay"]
    return (
        day["lateMinutes"],
        day["version"],
        found["employee"]["schedule"][0]["startsAt"]["local"],
        found["attendance"]["totalCount"],
        found["stats"]["totals"]["lateCount"],
    )


async def test_days_since_then_are_derived_again_and_a_dry_run_only_counts(fresh_rig: Rig) -> None:
    assert await seen(fresh_rig) == (20, 1, "2026-03-16T09:00", 1, 1)
    everything = "SELECT * FROM attendance_day ORDER BY employee_id, work_date"
    days, before = await fresh_rig.records(everything), await rules(fresh_rig)

    dry = await save(fresh_rig, "2026-03-16", startTime="08:30", dry_run=True)
    assert (dry["rule"]["validFrom"], dry["userErrors"]) == ("2026-03-16", [])
    assert (await fresh_rig.records(everything), await rules(fresh_rig)) == (days, before)
    assert await seen(fresh_rig) == (20, 1, "2026-03-16T09:00", 1, 1)

    saved = await save(fresh_rig, "2026-03-16", startTime="08:30")
    changed = set(await fresh_rig.records(everything)) ^ set(days)
    assert saved["changedDays"] == dry["changedDays"] == len(changed) / 2
    assert {(row[1].isoformat()) for row in changed} == {"2026-03-16", "2026-03-17"}
    # with 08:30 everybody who came at 9 is late: Grace, Alex, Ines, Mia, Zoe, Omar and the other Alex
    assert await seen(fresh_rig) == (50, 2, "2026-03-16T08:30", 7, 7)
    assert await seen(fresh_rig, INES) == (30, 2, "2026-03-16T08:30", 7, 7)


async def test_a_version_that_has_ended_changes_only_its_days(fresh_rig: Rig) -> None:
    others = "SELECT * FROM attendance_day WHERE work_date NOT BETWEEN '2026-03-02' AND '2026-03-08' ORDER BY 1, 2"
    before = await fresh_rig.records(others)
    saved = await save(fresh_rig, "2026-03-02", graceInMinutes=0)
    assert saved["rule"]["validTo"] == "2026-03-08"
    assert saved["changedDays"] > 0
    assert await fresh_rig.records(others) == before
    late = (
        "SELECT count(*) FROM attendance_day WHERE work_date BETWEEN '2026-03-02' AND '2026-03-08' AND late_minutes > 0"
    )
    rolled = "SELECT sum(late_count) FROM attendance_stat WHERE work_date BETWEEN '2026-03-02' AND '2026-03-08'"
    assert await fresh_rig.records(late) == await fresh_rig.records(rolled)


async def test_the_first_rule_of_a_shift_reaches_who_was_assigned_before(fresh_rig: Rig) -> None:
    made = await change(fresh_rig, "saveShift", "shift { id }", code="EVE", name="Evening")
    assert made["shift"] == {"id": shift(4)}
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE employee SET default_shift_id = 4 WHERE id = :id", id=TESS)
    saved = await save(fresh_rig, "2026-03-16", 4, startTime="14:00", endTime="22:00")
    assert (saved["changedDays"], saved["userErrors"]) == (2, [])
    found = await fresh_rig.records(
        "SELECT status::text, shift_id, expected_minutes, late_minutes FROM attendance_day"
        " WHERE employee_id = :id ORDER BY work_date",
        id=TESS,
    )
    assert found == [("ABSENT", 4, 420, 0), ("PENDING", 4, 420, 0)]


async def test_locked_days_stay(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.run("UPDATE attendance_day SET locked = true WHERE employee_id = :id", id=GRACE)
    mine = "SELECT * FROM attendance_day WHERE employee_id = :id ORDER BY work_date"
    before = await fresh_rig.records(mine, id=GRACE)
    await save(fresh_rig, "2026-03-12", graceInMinutes=0)
    assert await fresh_rig.records(mine, id=GRACE) == before


async def test_too_many_days_are_refused(fresh_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.save_shift_rule.MOST_DERIVED_DAYS", 10)
    before = await rules(fresh_rig, NIGHT)
    [found] = (await save(fresh_rig, "2026-03-01", NIGHT, startTime="22:00", endTime="06:00"))["userErrors"]
    message = (
        "input.validFrom: needed a date with at most 10 days of employees to derive again since then, got 34 "
        "(2 employees from 2026-03-01 on); choose a later date"
    )
    assert found == problem("TOO_MANY", message, "input", "validFrom") | {}
    assert await rules(fresh_rig, NIGHT) == before


async def test_null_leaves_open_and_defaults_come_from_the_contract(fresh_rig: Rig) -> None:
    cleared = ("expectedMinutes", "halfDayBelowMinutes", "absentBelowMinutes", "overtimeMaxMinutes", "halfSplit")
    await save(fresh_rig, "2026-04-01", FLEX, **dict.fromkeys(cleared))
    names = (
        "is_flexible, expected_minutes, half_day_below_minutes, absent_below_minutes, overtime_max_minutes, half_split"
    )
    of_flex = f"SELECT {names} FROM shift_rule WHERE valid_from = '2026-04-01'"
    assert await fresh_rig.records(of_flex) == [(True, None, None, None, None, None)]

    await change(fresh_rig, "saveShift", code="NEW", name="New")
    await save(fresh_rig, "2026-05-01", 4)
    names = (
        "is_flexible, window_before_minutes, window_after_minutes, grace_in_minutes, grace_out_minutes,"
        " late_from_grace, half_day_below_minutes, absent_below_minutes, break_minutes, break_after_minutes,"
        " break_policy::text, pairing::text, dedupe_seconds, count_early_arrival, overtime_min_minutes,"
        " overtime_step_minutes, overtime_max_minutes, missing_out::text, max_session_minutes"
    )
    found = await fresh_rig.records(f"SELECT {names} FROM shift_rule WHERE shift_id = 4")
    assert found == [
        *[
            (
                False,
                120,
                240,
                10,
                10,
                False,
                300,
                120,
                60,
                360,
                "AUTO",
                "FIRST_LAST",
                60,
                False,
                30,
                15,
                None,
                "FLAG",
                960,
            )
        ]
    ]


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"shiftId": shift(9)}, "shiftId", "there is no such shift"),
        ({"shiftId": employee(1)}, "shiftId", f"needed the id of a Shift, got '{employee(1)}'"),
        ({"validFrom": "1999-12-31"}, "validFrom", "needed a date from 2000-01-01 to 2100-12-31, got 1999-12-31"),
        ({"graceInMinutes": 721}, "graceInMinutes", "needed a whole number from 0 to 720, got 721"),
        ({"graceOutMinutes": -1}, "graceOutMinutes", "needed a whole number from 0 to 720, got -1"),
        ({"expectedMinutes": 1441}, "expectedMinutes", "needed a whole number from 0 to 1440, got 1441"),
        ({"windowBeforeMinutes": 1441}, "windowBeforeMinutes", "needed a whole number from 0 to 1440, got 1441"),
        ({"windowAfterMinutes": 99999}, "windowAfterMinutes", "needed a whole number from 0 to 1440, got 99999"),
        ({"halfDayBelowMinutes": 1441}, "halfDayBelowMinutes", "needed a whole number from 0 to 1440, got 1441"),
        ({"absentBelowMinutes": -1}, "absentBelowMinutes", "needed a whole number from 0 to 1440, got -1"),
        ({"breakMinutes": 721}, "breakMinutes", "needed a whole number from 0 to 720, got 721"),
        ({"breakAfterMinutes": -1}, "breakAfterMinutes", "needed a whole number from 0 to 1440, got -1"),
        ({"dedupeSeconds": 3601}, "dedupeSeconds", "needed a whole number from 0 to 3600, got 3601"),
        ({"overtimeMinMinutes": 1441}, "overtimeMinMinutes", "needed a whole number from 0 to 1440, got 1441"),
        ({"overtimeStepMinutes": 0}, "overtimeStepMinutes", "needed a whole number from 1 to 720, got 0"),
        ({"overtimeMaxMinutes": 1441}, "overtimeMaxMinutes", "needed a whole number from 0 to 1440, got 1441"),
        (
            {"absentBelowMinutes": 301},
            "absentBelowMinutes",
            "needed at most halfDayBelowMinutes (300), got 301",
        ),
        (
            {"halfDayBelowMinutes": 100},
            "absentBelowMinutes",
            "needed at most halfDayBelowMinutes (100), got 120",
        ),
        (
            {"graceInMinutes": None},
            "graceInMinutes",
            "needed a value, got null; leave it out to keep what the version before it has",
        ),
        (
            {"pairing": None},
            "pairing",
            "needed a value, got null; leave it out to keep what the version before it has",
        ),
        *[
            (
                {"halfSplit": split, "startTime": start, "endTime": end},
                "halfSplit",
                f"needed a time between the start ({start}) and the end ({end}), got {split}; null is the midpoint",
            )
            for split, start, end in [
                ("09:00", "09:00", "18:00"),
                ("18:00", "09:00", "18:00"),
                ("08:00", "09:00", "18:00"),
                ("07:00", "22:00", "06:00"),
                ("22:00", "22:00", "22:00"),
            ]
        ],
    ],
)
async def test_what_is_wrong_with_a_rule(rig: Rig, fields: dict[str, Any], field: str, message: str) -> None:
    before = await rules(rig)
    answer = await save(rig, fields.pop("validFrom", "2026-04-01"), **fields)
    code = "NOT_FOUND" if message.startswith("there is no") else "INVALID"
    expected = [problem(code, f"input.{field}: {message}", "input", field)]
    assert answer == {"rule": None, "changedDays": 0, "userErrors": expected}
    assert await rules(rig) == before


@pytest.mark.parametrize(
    ("split", "start", "end"),
    [
        ("13:00", "09:00", "18:00"),
        ("02:00", "22:00", "06:00"),
        ("23:00", "22:00", "06:00"),
        ("10:00", "22:00", "22:00"),
    ],
)
async def test_a_split_within_the_shift_is_kept(fresh_rig: Rig, split: str, start: str, end: str) -> None:
    saved = await save(fresh_rig, "2026-04-01", startTime=start, endTime=end, halfSplit=split)
    assert saved["userErrors"] == []
    kept = "SELECT to_char(half_split, 'HH24:MI') FROM shift_rule WHERE valid_from = '2026-04-01'"
    assert await fresh_rig.records(kept) == [(split,)]


async def test_a_punch_that_a_wider_window_takes_leaves_the_day_before(fresh_rig: Rig) -> None:
    mine = "SELECT to_char(last_out AT TIME ZONE time_zone, 'DD HH24:MI') FROM attendance_day"

    async def went() -> Any:
        sql = f"{mine} WHERE employee_id = :id AND work_date = '2026-03-12'"
        return await fresh_rig.records(sql, id=GRACE)

    usual = await went()
    assert usual == [("12 18:21",)]
    async with fresh_rig.rows() as rows:
        await rows.punch(GRACE, "2026-03-12T21:30")
        await rows.derive([GRACE], date(2026, 3, 12), date(2026, 3, 13), fresh_rig.clock())
    assert await went() == [("12 21:30",)]
    assert (await save(fresh_rig, "2026-03-13", windowBeforeMinutes=720))["userErrors"] == []
    assert await went() == usual
    days = "SELECT count(*) FROM attendance_day d JOIN shift_rule r ON r.id = d.shift_rule_id WHERE r.valid_from"
    assert await fresh_rig.records(f"{days} = '2026-03-13' AND d.work_date < '2026-03-13'") == [(0,)]
