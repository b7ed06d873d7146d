"""The derived day: worked time, lateness, overtime, status and halves, each step open to explanation."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from domain.attendance.pairing import Pairs, clean, pair
from domain.attendance.plan import NO_HALVES, DayPlan, PunchFact, minutes_between
from domain.enums import (
    AttendanceException,
    BreakPolicy,
    DayStatus,
    DayType,
    HalfOfDay,
    MissingPunchPolicy,
    OvertimeKind,
    Pairing,
)

LONG_DAY_MINUTES = 720
OVERTIME_KIND = {
    DayType.WORKING: OvertimeKind.WORKDAY,
    DayType.WEEKLY_OFF: OvertimeKind.WEEKLY_OFF,
    DayType.HOLIDAY: OvertimeKind.HOLIDAY,
}
Sessions = Sequence[tuple[datetime, datetime]]
Problems = set[AttendanceException]


class Step(msgspec.Struct, frozen=True):
    """One step of a derivation: what was decided, why, and which punches (ids) it rests on."""

    step: str
    detail: str
    value: object = None
    punch_ids: tuple[int, ...] = ()


class DerivedDay(msgspec.Struct, frozen=True):
    """Everything the rules say of one day; `settles_at` is when a PENDING day has to be derived again."""

    status: DayStatus
    day_type: DayType
    first_in: datetime | None
    last_out: datetime | None
    expected_minutes: int
    worked_minutes: int
    break_minutes: int
    late_minutes: int
    early_exit_minutes: int
    overtime_minutes: int
    overtime_kind: OvertimeKind | None
    present_halves: int
    leave_halves: int
    absent_halves: int
    off_halves: int
    exceptions: frozenset[AttendanceException]
    settles_at: datetime | None


class Frame(msgspec.Struct, frozen=True):
    """What a day expects once off halves and leave are known."""

    plan: DayPlan
    leave_halves: int
    working_halves: int
    starts_at: datetime
    ends_at: datetime
    expected_minutes: int
    window_over: bool


class Stages(msgspec.Struct, frozen=True):
    """What each step of one derivation came to, in order: the day and its explanation are both read off it."""

    frame: Frame
    kept: list[PunchFact]
    dropped: list[PunchFact]
    pairs: Pairs
    worked_minutes: int
    break_minutes: int
    late_minutes: int
    early_exit_minutes: int
    status: DayStatus
    present_halves: int
    absent_halves: int
    overtime_minutes: int
    exceptions: frozenset[AttendanceException]


def derive(
    plan: DayPlan,
    punches: Sequence[PunchFact],
    leave_halves: frozenset[HalfOfDay] = NO_HALVES,
    now: datetime | None = None,
) -> DerivedDay:
    """Derive a day from its punches, in any order; `now` is an aware UTC instant, None means long after."""
    return day_of(stages(plan, punches, leave_halves, now))


def explain(
    plan: DayPlan,
    punches: Sequence[PunchFact],
    leave_halves: frozenset[HalfOfDay] = NO_HALVES,
    now: datetime | None = None,
) -> list[Step]:
    """The steps behind `derive` with the same arguments, by the same code."""
    return steps_of(stages(plan, punches, leave_halves, now))


def stages(
    plan: DayPlan, punches: Sequence[PunchFact], leave_halves: frozenset[HalfOfDay], now: datetime | None
) -> Stages:
    """Apply the rules step by step."""
    frame = _frame(plan, leave_halves, now)
    kept, dropped = clean(punches, plan.rule.dedupe_seconds)
    problems: Problems = {AttendanceException.DUPLICATE_PUNCH} if dropped else set()
    pairs = _close(pair(kept, plan, frame.window_over), frame, problems)
    worked, pause = _worked(pairs.sessions, frame, problems)
    late, early = _late_and_early(pairs, frame, problems)
    status, present, absent = _status(frame, bool(kept), worked, problems)
    overtime = 0 if status is DayStatus.PENDING else _overtime(worked - frame.expected_minutes, plan)
    if worked > LONG_DAY_MINUTES:
        problems.add(AttendanceException.LONG_DAY)
    return Stages(
        frame, kept, dropped, pairs, worked, pause, late, early, status, present, absent, overtime, frozenset(problems)
    )


def day_of(found: Stages) -> DerivedDay:
    """The day that the steps came to."""
    frame, pending = found.frame, found.status is DayStatus.PENDING
    return DerivedDay(
        status=found.status,
        day_type=frame.plan.day_type,
        first_in=found.pairs.first_in,
        last_out=found.pairs.last_out,
        expected_minutes=frame.expected_minutes,
        worked_minutes=found.worked_minutes,
        break_minutes=found.break_minutes,
        late_minutes=found.late_minutes,
        early_exit_minutes=found.early_exit_minutes,
        overtime_minutes=found.overtime_minutes,
        overtime_kind=OVERTIME_KIND[frame.plan.day_type] if found.overtime_minutes else None,
        present_halves=found.present_halves,
        leave_halves=0 if pending else frame.leave_halves,
        absent_halves=found.absent_halves,
        off_halves=0 if pending else len(frame.plan.off_halves),
        exceptions=found.exceptions,
        settles_at=frame.plan.window_to if pending else None,
    )


def steps_of(found: Stages) -> list[Step]:
    """The steps in words, with the punches that each rests on."""
    frame, plan = found.frame, found.frame.plan
    expected, worked = frame.expected_minutes, found.worked_minutes
    window = f"{_hhmm(frame.starts_at)}-{_hhmm(frame.ends_at)}"
    return [
        Step("plan", f"{plan.day_type} {window}, {expected} min expected", frame.working_halves),
        Step(
            "clean",
            f"kept {len(found.kept)}, dropped {len(found.dropped)} repeated",
            len(found.kept),
            _ids(found.dropped),
        ),
        Step("pair", _sessions_text(found.pairs.sessions), len(found.pairs.sessions), _ids(found.kept)),
        Step("worked", f"{worked} min after {found.break_minutes} min of break ({plan.rule.break_policy})", worked),
        Step(
            "lateness",
            f"late {found.late_minutes} min, early exit {found.early_exit_minutes} min",
            [found.late_minutes, found.early_exit_minutes],
        ),
        Step("overtime", f"{worked} worked - {expected} expected", found.overtime_minutes),
        Step(
            "status",
            f"{found.status}: present {found.present_halves}, absent {found.absent_halves} halves",
            str(found.status),
        ),
    ]


def _frame(plan: DayPlan, leave: frozenset[HalfOfDay], now: datetime | None) -> Frame:
    """Off halves come first, then leave on what remains; the half that is gone moves the expected start or end."""
    counted = leave - plan.off_halves
    gone = counted | plan.off_halves
    working = 2 - len(gone)
    starts_at = plan.split_at if working == 1 and HalfOfDay.FIRST in gone else plan.starts_at
    ends_at = plan.split_at if working == 1 and HalfOfDay.SECOND in gone else plan.ends_at
    expected = plan.full_expected_minutes * working // 2
    return Frame(plan, len(counted), working, starts_at, ends_at, expected, now is None or now >= plan.window_to)


def _close(pairs: Pairs, frame: Frame, problems: Problems) -> Pairs:
    """Raise what is missing once the window is over; AUTO_CLOSE ends the open session instead."""
    if not frame.window_over:
        return pairs
    if pairs.missing_in:
        problems.add(AttendanceException.MISSING_IN)
    if pairs.open_since is None:
        return pairs
    if frame.plan.rule.missing_out is not MissingPunchPolicy.AUTO_CLOSE or frame.working_halves == 0:
        problems.add(AttendanceException.MISSING_OUT)
        return pairs
    problems.add(AttendanceException.AUTO_CLOSED)
    closed_at = max(frame.ends_at, pairs.open_since)
    sessions = (*pairs.sessions, (pairs.open_since, closed_at))
    return msgspec.structs.replace(pairs, sessions=sessions, open_since=None, last_out=closed_at)


def _worked(sessions: Sessions, frame: Frame, problems: Problems) -> tuple[int, int]:
    """(worked, break) minutes; time before the expected start counts only where the rule says so."""
    rule = frame.plan.rule
    if not (rule.count_early_arrival or rule.is_flexible or frame.working_halves == 0):
        sessions = [(max(start, frame.starts_at), end) for start, end in sessions if end > frame.starts_at]
    gross = sum(minutes_between(start, end) for start, end in sessions)
    gaps = sum(minutes_between(a[1], b[0]) for a, b in pairwise(sessions))
    if rule.break_policy is BreakPolicy.AUTO and rule.pairing is Pairing.FIRST_LAST:
        pause = max(0, min(rule.break_minutes, gross - rule.break_after_minutes))
        return gross - pause, pause
    if rule.break_policy is BreakPolicy.PUNCHED:
        return gross, gaps
    if rule.break_policy is BreakPolicy.GREATER:
        needed = max(0, min(rule.break_minutes, gross + gaps - rule.break_after_minutes))
        if gaps < needed:
            problems.add(AttendanceException.SHORT_BREAK)
            return gross - (needed - gaps), needed
        return gross, gaps
    return gross, 0


def _late_and_early(pairs: Pairs, frame: Frame, problems: Problems) -> tuple[int, int]:
    rule, late, early = frame.plan.rule, 0, 0
    if rule.is_flexible or frame.working_halves == 0:
        return 0, 0
    if pairs.first_in is not None:
        late = _beyond(minutes_between(frame.starts_at, pairs.first_in), rule.grace_in_minutes, rule.late_from_grace)
    if pairs.last_out is not None and frame.window_over:
        early = _beyond(minutes_between(pairs.last_out, frame.ends_at), rule.grace_out_minutes, rule.late_from_grace)
    if late:
        problems.add(AttendanceException.LATE_IN)
    if early:
        problems.add(AttendanceException.EARLY_OUT)
    return late, early


def _beyond(minutes: int, grace: int, from_grace: bool) -> int:
    if minutes <= grace:
        return 0
    return minutes - grace if from_grace else minutes


def _overtime(surplus: int, plan: DayPlan) -> int:
    rule = plan.rule
    if surplus <= 0 or surplus < rule.overtime_min_minutes:
        return 0
    overtime = surplus - surplus % max(1, rule.overtime_step_minutes)
    return overtime if rule.overtime_max_minutes is None else min(overtime, rule.overtime_max_minutes)


def _status(frame: Frame, punched: bool, worked: int, problems: Problems) -> tuple[DayStatus, int, int]:
    """(status, present halves, absent halves): the table of the contract, first match wins."""
    working = frame.working_halves
    if working == 0:
        if punched:
            on_leave = frame.leave_halves > 0
            problems.add(AttendanceException.WORKED_ON_LEAVE if on_leave else AttendanceException.UNSCHEDULED_WORK)
        return (DayStatus.ON_LEAVE if frame.leave_halves else DayStatus(frame.plan.day_type)), 0, 0
    if not frame.window_over:
        return DayStatus.PENDING, 0, 0
    status, present = _worked_status(frame, punched, worked, problems)
    if working == 1 and frame.leave_halves and status in (DayStatus.PRESENT, DayStatus.ABSENT):
        status = DayStatus.HALF_DAY
    return status, present, working - present


def _worked_status(frame: Frame, punched: bool, worked: int, problems: Problems) -> tuple[DayStatus, int]:
    rule, working = frame.plan.rule, frame.working_halves
    if not punched:
        problems.add(AttendanceException.ABSENT_UNEXPLAINED)
        return DayStatus.ABSENT, 0
    if problems & {AttendanceException.MISSING_IN, AttendanceException.MISSING_OUT}:
        if rule.missing_out is MissingPunchPolicy.ABSENT:
            return DayStatus.ABSENT, 0
        if rule.missing_out is MissingPunchPolicy.HALF_DAY:
            return DayStatus.HALF_DAY, 1
        return DayStatus.INCOMPLETE, working
    if rule.absent_below_minutes is not None and worked * 2 < rule.absent_below_minutes * working:
        return DayStatus.ABSENT, 0
    if working == 2 and rule.half_day_below_minutes is not None and worked < rule.half_day_below_minutes:
        return DayStatus.HALF_DAY, 1
    return DayStatus.PRESENT, working


def _hhmm(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%H:%MZ")


def _ids(punches: Sequence[PunchFact]) -> tuple[int, ...]:
    return tuple(punch.id for punch in punches if punch.id is not None)


def _sessions_text(sessions: Sessions) -> str:
    return ", ".join(f"{_hhmm(start)}-{_hhmm(end)}" for start, end in sessions) or "no closed session"
