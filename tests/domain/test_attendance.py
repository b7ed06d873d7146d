"""The attendance rules: the contract's worked examples, the properties that hold for every day, and attribution."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.attendance import PunchFact, Rule, attribute, derive, explain, instant, plan_day, run_vectors
from domain.enums import BreakPolicy, DayStatus, DayType, HalfOfDay, MissingPunchPolicy, Pairing, PunchDirection

DAY = date(2026, 3, 17)
ZONE = ZoneInfo("Asia/Kolkata")
IN, OUT = PunchDirection.IN, PunchDirection.OUT

rules = st.builds(
    Rule,
    is_flexible=st.booleans(),
    break_policy=st.sampled_from(BreakPolicy),
    pairing=st.sampled_from(Pairing),
    missing_out=st.sampled_from(MissingPunchPolicy),
    count_early_arrival=st.booleans(),
    late_from_grace=st.booleans(),
)
punches = st.lists(
    st.builds(
        PunchFact,
        at=st.integers(0, 20 * 3600).map(lambda s: datetime(2026, 3, 17, tzinfo=UTC) + timedelta(seconds=s)),
        direction=st.sampled_from(PunchDirection),
    ),
    max_size=7,
)
halves = st.frozensets(st.sampled_from(HalfOfDay))
day_types = st.sampled_from(DayType)
nows = st.none() | st.integers(0, 48).map(lambda h: datetime(2026, 3, 17, tzinfo=UTC) + timedelta(hours=h))


def test_the_worked_examples_of_the_contract() -> None:
    assert str(run_vectors(Path(__file__).with_name("vectors.json"))) == "32 passed, 0 failed"


def test_a_vector_that_disagrees_names_the_field(tmp_path: Path) -> None:
    file = tmp_path / "v.json"
    file.write_text(
        '[{"id":"X","title":"t","zone":"UTC","work_date":"2026-03-17","rule":{},"punches":[],"expect":{"status":"PRESENT"}},'
        '{"id":"Y","title":"u","zone":"UTC","work_date":"2026-03-17","rule":{"grase":1},"punches":[],"expect":{}}]'
    )
    assert str(run_vectors(file)).splitlines() == [
        "X t: status: expected 'PRESENT', got 'ABSENT'",
        "Y u: cannot be read: Object contains unknown field `grase`",
        "0 passed, 2 failed",
    ]


@settings(max_examples=150, deadline=None)
@given(rules, day_types, punches, halves, nows, st.randoms())
def test_order_does_not_matter_and_halves_sum_to_two(rule, day_type, facts, leave, now, random) -> None:
    plan = plan_day(DAY, ZONE, rule, day_type)
    day = derive(plan, facts, leave, now)
    shuffled = list(facts)
    random.shuffle(shuffled)
    assert derive(plan, shuffled, leave, now) == day
    total = day.present_halves + day.leave_halves + day.absent_halves + day.off_halves
    assert total == (0 if day.status is DayStatus.PENDING else 2)
    assert day.worked_minutes >= 0
    assert explain(plan, facts, leave, now)[-1].value == str(day.status)


@settings(max_examples=80, deadline=None)
@given(rules, punches, halves, st.integers(-11, 11))
def test_shifting_instants_and_zone_together_changes_nothing(rule, facts, leave, hours) -> None:
    shift = timedelta(hours=hours)
    there = plan_day(DAY, ZoneInfo(f"Etc/GMT{hours:+d}" if hours else "Etc/GMT"), rule)  # Etc/GMT+5 is UTC-5
    here = plan_day(DAY, ZoneInfo("UTC"), rule)
    moved = [PunchFact(fact.at + shift, fact.direction) for fact in facts]
    a, b = derive(here, facts, leave), derive(there, moved, leave)
    assert (a.status, a.worked_minutes, a.late_minutes, a.exceptions) == (
        b.status,
        b.worked_minutes,
        b.late_minutes,
        b.exceptions,
    )


def night(day: date) -> object:
    rule = msgspec_rule(start="22:00", end="06:00")
    return plan_day(day, ZoneInfo("UTC"), rule)


def msgspec_rule(start: str, end: str) -> Rule:
    return Rule(start_time=datetime.strptime(start, "%H:%M").time(), end_time=datetime.strptime(end, "%H:%M").time())


def at(day: int, clock: str, direction: PunchDirection = PunchDirection.UNKNOWN) -> PunchFact:
    return PunchFact(datetime.fromisoformat(f"2026-03-{day:02d}T{clock}Z"), direction)


def test_an_out_closes_yesterdays_open_session_but_an_in_never_joins_it() -> None:
    plans = [plan_day(DAY, ZoneInfo("UTC"), Rule()), plan_day(date(2026, 3, 18), ZoneInfo("UTC"), Rule())]
    late_in, out, fresh_in = at(17, "20:00", IN), at(18, "08:00", OUT), at(18, "08:30", IN)
    found = attribute([fresh_in, out, late_in], plans)
    assert found.punches_by_date == {DAY: [late_in, out], date(2026, 3, 18): [fresh_in]}
    assert attribute([at(17, "01:00")], plans).unattributed == [at(17, "01:00")]


def test_a_window_is_clipped_by_its_neighbours() -> None:
    plans = [night(DAY), plan_day(date(2026, 3, 18), ZoneInfo("UTC"), msgspec_rule("07:00", "15:00"))]
    found = attribute([at(18, "05:30"), at(18, "06:00"), at(18, "09:30")], plans)
    assert found.punches_by_date == {DAY: [at(18, "05:30")], date(2026, 3, 18): [at(18, "06:00"), at(18, "09:30")]}


def test_the_clock_that_skips_and_the_clock_that_repeats() -> None:
    new_york = ZoneInfo("America/New_York")
    assert instant(datetime(2026, 3, 8, 2, 30), new_york) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert instant(datetime(2026, 11, 1, 1, 30), new_york) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    rule = msgspec_rule("22:00", "06:00")
    assert plan_day(date(2026, 10, 31), new_york, rule).full_expected_minutes == 9 * 60 - 60
