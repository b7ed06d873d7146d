"""The plan of a day: one version of a shift's rule, placed on a date in a time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from domain.enums import BreakPolicy, DayType, HalfOfDay, MissingPunchPolicy, Pairing, PunchDirection, PunchSource

BOTH_HALVES = frozenset(HalfOfDay)
NO_HALVES: frozenset[HalfOfDay] = frozenset()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One version of a shift's rule; minutes are whole minutes, wall-clock times are the employee's."""

    start_time: time = time(9)
    end_time: time = time(18)
    is_flexible: bool = False
    expected_minutes: int | None = None
    half_split: time | None = None
    window_before_minutes: int = 120
    window_after_minutes: int = 240
    grace_in_minutes: int = 10
    grace_out_minutes: int = 10
    late_from_grace: bool = False
    half_day_below_minutes: int | None = 300
    absent_below_minutes: int | None = 120
    break_minutes: int = 60
    break_after_minutes: int = 360
    break_policy: BreakPolicy = BreakPolicy.AUTO
    pairing: Pairing = Pairing.FIRST_LAST
    dedupe_seconds: int = 60
    count_early_arrival: bool = False
    overtime_min_minutes: int = 30
    overtime_step_minutes: int = 15
    overtime_max_minutes: int | None = None
    missing_out: MissingPunchPolicy = MissingPunchPolicy.FLAG
    max_session_minutes: int = 960


class PunchFact(msgspec.Struct, frozen=True):
    """What the rules need of a punch: its instant (UTC) and its direction; the rest is only passed on or shown."""

    at: datetime
    direction: PunchDirection = PunchDirection.UNKNOWN
    id: int | None = None
    source: PunchSource = PunchSource.DEVICE
    outside_geofence: bool = False


class DayPlan(msgspec.Struct, frozen=True):
    """A rule on a date: the shift's instants, its unclipped window and the halves that are off."""

    work_date: date
    day_type: DayType
    rule: Rule
    starts_at: datetime
    split_at: datetime
    ends_at: datetime
    window_from: datetime
    window_to: datetime
    off_halves: frozenset[HalfOfDay]

    @property
    def full_expected_minutes(self) -> int:
        """Minutes expected when both halves are worked: elapsed time, so daylight saving changes count."""
        if self.rule.expected_minutes is not None:
            return self.rule.expected_minutes
        return max(0, minutes_between(self.starts_at, self.ends_at) - self.rule.break_minutes)


def minutes_between(first: datetime, last: datetime) -> int:
    """Whole minutes from `first` to `last`."""
    return int((last - first).total_seconds()) // 60


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant of a wall-clock time: one that the clock skips moves forward by the gap, of two the first."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def plan_day(
    work_date: date,
    zone: ZoneInfo,
    rule: Rule,
    day_type: DayType = DayType.WORKING,
    off_halves: frozenset[HalfOfDay] | None = None,
) -> DayPlan:
    """Place `rule` on `work_date`; unless `off_halves` says so, a day type other than WORKING is off wholly."""

    def at(clock: time, next_day: bool) -> datetime:
        return instant(datetime.combine(work_date + timedelta(days=next_day), clock), zone)

    starts_at = at(rule.start_time, False)
    ends_at = at(rule.end_time, rule.end_time <= rule.start_time)
    if rule.half_split is None:
        split_at = starts_at + timedelta(minutes=minutes_between(starts_at, ends_at) // 2)
    else:
        split_at = at(rule.half_split, rule.half_split < rule.start_time)
    if off_halves is None:
        off_halves = NO_HALVES if day_type is DayType.WORKING else BOTH_HALVES
    return DayPlan(
        work_date,
        day_type,
        rule,
        starts_at,
        split_at,
        ends_at,
        starts_at - timedelta(minutes=rule.window_before_minutes),
        ends_at + timedelta(minutes=rule.window_after_minutes),
        off_halves,
    )
