"""Every day of an employee in a range of dates: which plan it has, which punches it got, what the rules make of them.

Pure: whoever has the facts (the database, the demo company, an import) gets the same days from them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from domain.attendance.attribution import attribute
from domain.attendance.calendar import Assignment, HolidayFact, RosterEntry, WeeklyOff, day_type_of, resolve_shift
from domain.attendance.derivation import DerivedDay, Stages, day_of, stages
from domain.attendance.override import Override, overridden
from domain.attendance.pairing import clean
from domain.attendance.plan import BOTH_HALVES, NO_HALVES, DayPlan, PunchFact, Rule, plan_day
from domain.attendance.presence import Sighting, presence_after
from domain.enums import (
    AttendanceException,
    DayType,
    HalfOfDay,
    PlanOrigin,
    PresenceState,
    PunchSource,
    WorkMode,
)
from domain.ids import DepartmentId, EmployeeId, LeaveTypeId, LocationId, ShiftId, ShiftRuleId

ONE_DAY = timedelta(days=1)
REMOTE_SOURCES = (PunchSource.WEB, PunchSource.MOBILE)
NO_SHIFT = Rule()  # places the window in which punches of a date without any shift are gathered


class RuleVersion(msgspec.Struct, frozen=True):
    """A version of a shift's rule, in force from `valid_from` to `valid_to` (inclusive, None is open)."""

    id: ShiftRuleId
    valid_from: date
    valid_to: date | None
    rule: Rule


class PastZone(msgspec.Struct, frozen=True):
    """A zone that a location had up to `valid_to`, inclusive."""

    valid_to: date
    time_zone: str


class LocationFacts(msgspec.Struct, frozen=True):
    """The zone and the calendar of a location; `past_zones` by date are those that it had before."""

    time_zone: str
    holidays: Mapping[date, HolidayFact]
    work_week: Sequence[WeeklyOff]
    past_zones: Sequence[PastZone] = ()

    def zone_on(self, day: date) -> str:
        """The zone in force on `day`."""
        return next((past.time_zone for past in self.past_zones if day <= past.valid_to), self.time_zone)


class Company(msgspec.Struct, frozen=True):
    """What all employees share."""

    locations: Mapping[LocationId, LocationFacts]
    rules: Mapping[ShiftId, Sequence[RuleVersion]]

    def rule_by_id(self, id_: ShiftRuleId | None) -> RuleVersion | None:
        """A version of a rule."""
        return next((rule for versions in self.rules.values() for rule in versions if rule.id == id_), None)

    def rule_on(self, shift_id: ShiftId | None, day: date) -> RuleVersion | None:
        """The version of a shift's rule in force on `day`."""
        for version in self.rules.get(shift_id, ()) if shift_id is not None else ():
            if version.valid_from <= day and (version.valid_to is None or day <= version.valid_to):
                return version
        return None


class Posting(msgspec.Struct, frozen=True):
    """Where an employee belongs from `valid_from` to `valid_to` (inclusive, None is open)."""

    valid_from: date
    valid_to: date | None
    department_id: DepartmentId
    location_id: LocationId
    manager_id: EmployeeId | None


class Leave(msgspec.Struct, frozen=True):
    """An approved leave."""

    leave_type_id: LeaveTypeId
    start_date: date
    end_date: date
    start_half: HalfOfDay = HalfOfDay.FIRST
    end_half: HalfOfDay = HalfOfDay.SECOND

    def halves_on(self, day: date) -> frozenset[HalfOfDay]:
        """The halves of `day` that it covers."""
        if not self.start_date <= day <= self.end_date:
            return NO_HALVES
        halves = set(HalfOfDay)
        if day == self.start_date and self.start_half is HalfOfDay.SECOND:
            halves.discard(HalfOfDay.FIRST)
        if day == self.end_date and self.end_half is HalfOfDay.FIRST:
            halves.discard(HalfOfDay.SECOND)
        return frozenset(halves)


class EmployeeFacts(msgspec.Struct, frozen=True):
    """Everything about one employee that days are derived from; `punches` without voided ones."""

    id: EmployeeId
    hired_on: date
    left_on: date | None
    own_time_zone: str | None
    default_shift_id: ShiftId | None
    postings: Sequence[Posting]
    assignments: Sequence[Assignment] = ()
    roster: Mapping[date, RosterEntry] = {}
    leaves: Sequence[Leave] = ()
    overrides: Mapping[date, Override] = {}
    punches: Sequence[PunchFact] = ()

    def posting_on(self, day: date) -> Posting | None:
        """Where the employee belonged on `day`."""
        for posting in self.postings:
            if posting.valid_from <= day and (posting.valid_to is None or day <= posting.valid_to):
                return posting
        return None


class PlannedDay(msgspec.Struct, frozen=True):
    """The plan of a date with where it comes from; without a shift `origin` is None and both halves are off."""

    work_date: date
    posting: Posting
    time_zone: str
    shift_id: ShiftId | None
    rule_id: ShiftRuleId | None
    origin: PlanOrigin | None
    plan: DayPlan

    @property
    def zone(self) -> ZoneInfo:
        """The zone of its wall-clock times."""
        return zone(self.time_zone)

    @property
    def is_worked(self) -> bool:
        """Whether any half of it is to be worked, on leave or not."""
        return self.shift_id is not None and self.plan.off_halves != BOTH_HALVES


class GatheredDay(msgspec.Struct, frozen=True):
    """The plan of a date with the punches that the rules give to it; `unattributed` are made on it and of no day."""

    planned: PlannedDay
    punches: Sequence[PunchFact]
    unattributed: Sequence[PunchFact]


class WorkDay(msgspec.Struct, frozen=True):
    """A derived day with everything that is known of it; `repeated` are those of its punches that change nothing."""

    planned: PlannedDay
    punches: Sequence[PunchFact]
    unattributed: Sequence[PunchFact]
    repeated: Sequence[PunchFact]
    found: Stages
    derived: DerivedDay
    work_mode: WorkMode
    presence: PresenceState | None
    presence_since: datetime | None
    leave_type_id: LeaveTypeId | None
    overridden: bool

    @property
    def sighting(self) -> Sighting | None:
        """Where its punches left the employee; None without any."""
        if self.presence is None or self.presence_since is None:
            return None
        longest = timedelta(minutes=self.planned.plan.rule.max_session_minutes)
        return Sighting(self.planned.work_date, self.presence, self.presence_since, longest)


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of that IANA name."""
    return ZoneInfo(name)


def planned_day(employee: EmployeeFacts, company: Company, day: date) -> PlannedDay | None:
    """The plan of a date; None before hiring, after leaving, or without a posting."""
    posting = employee.posting_on(day)
    if posting is None or day < employee.hired_on or (employee.left_on is not None and day > employee.left_on):
        return None
    location = company.locations[posting.location_id]
    time_zone = employee.own_time_zone or location.zone_on(day)
    roster = employee.roster.get(day)
    shift_id, origin = resolve_shift(day, roster, employee.assignments, employee.default_shift_id)
    day_type, off = day_type_of(day, location.holidays.get(day), location.work_week, roster)
    version = company.rule_on(shift_id, day)
    if version is None:
        rule = NO_SHIFT
        day_type = day_type if day_type is not DayType.WORKING else DayType.WEEKLY_OFF
        plan = plan_day(day, zone(time_zone), rule, day_type, BOTH_HALVES)
        return PlannedDay(day, posting, time_zone, None, None, None, plan)
    plan = plan_day(day, zone(time_zone), version.rule, day_type, off)
    return PlannedDay(day, posting, time_zone, shift_id, version.id, origin, plan)


def planned_days(employee: EmployeeFacts, company: Company, first: date, last: date) -> Iterator[PlannedDay]:
    """The plans of the dates from `first` to `last`, where there are any."""
    for offset in range((last - first).days + 1):
        if planned := planned_day(employee, company, first + offset * ONE_DAY):
            yield planned


def gathered_days(employee: EmployeeFacts, company: Company, first: date, last: date) -> list[GatheredDay]:
    """The dates from `first` to `last` that have a plan, each with its punches.

    `employee.punches` has to reach from two days before `first` to two days after `last`: neighbours claim punches too.
    """
    around = list(planned_days(employee, company, first - 2 * ONE_DAY, last + ONE_DAY))
    found = attribute(employee.punches, [planned.plan for planned in around])
    unattributed = defaultdict(list)
    for punch in found.unattributed:
        if (shown_on := _shown_on(punch.at, around)) is not None:
            unattributed[shown_on].append(punch)
    return [
        GatheredDay(planned, found.punches_by_date[planned.work_date], unattributed.get(planned.work_date, ()))
        for planned in around
        if first <= planned.work_date <= last
    ]


def _shown_on(at: datetime, around: Sequence[PlannedDay]) -> date | None:
    """The date of a punch of no day, by the employee's clock; the morning after the last one still shows on that."""
    for planned in reversed(around):
        days_later = (at.astimezone(planned.zone).date() - planned.work_date).days
        if days_later >= 0:
            return planned.work_date if days_later <= 1 else None
    return None


def dates_touched(employee: EmployeeFacts, company: Company, punch_id: int, first: date, last: date) -> set[date]:
    """The dates from `first` to `last` whose punches would be others without one of them."""
    without = msgspec.structs.replace(employee, punches=[punch for punch in employee.punches if punch.id != punch_id])
    as_it_is, else_ = (gathered_days(facts, company, first, last) for facts in (employee, without))
    return {day.planned.work_date for day, other in zip(as_it_is, else_, strict=True) if day != other}


def work_days(employee: EmployeeFacts, company: Company, first: date, last: date, now: datetime) -> list[WorkDay]:
    """The days from `first` to `last` that have begun where the employee works; of punches as `gathered_days` says."""
    return [
        _work_day(employee, gathered, now)
        for gathered in gathered_days(employee, company, first, last)
        if gathered.planned.work_date <= now.astimezone(gathered.planned.zone).date()
    ]


def _work_day(employee: EmployeeFacts, gathered: GatheredDay, now: datetime) -> WorkDay:
    planned, punches, unattributed = gathered.planned, gathered.punches, gathered.unattributed
    leave_halves, leave_type_id = NO_HALVES, None
    for leave in employee.leaves:
        if halves := leave.halves_on(planned.work_date):
            leave_halves, leave_type_id = leave_halves | halves, leave.leave_type_id
    found = stages(planned.plan, punches, leave_halves, now)
    derived = day_of(found)
    if any(punch.outside_geofence for punch in punches):
        geofence = frozenset({AttendanceException.OUTSIDE_GEOFENCE})
        derived = msgspec.structs.replace(derived, exceptions=derived.exceptions | geofence)
    remote = bool(punches) and all(punch.source in REMOTE_SOURCES for punch in punches)
    work_mode = WorkMode.REMOTE if remote else WorkMode.ONSITE
    override = employee.overrides.get(planned.work_date)
    if override is not None:
        derived, work_mode = overridden(derived, override), override.work_mode or work_mode
    seen, repeated = found.kept, found.dropped
    if unattributed:
        seen, repeated = clean([*punches, *unattributed], planned.plan.rule.dedupe_seconds)
    kept_type = leave_type_id if leave_halves - planned.plan.off_halves else None
    sighted = presence_after(seen)
    return WorkDay(
        planned, punches, unattributed, repeated, found, derived, work_mode, *sighted, kept_type, override is not None
    )
