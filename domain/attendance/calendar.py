"""Which shift a date has, and what kind of day it is: roster, assignments, holidays and the work week."""

from collections.abc import Sequence
from datetime import date

import msgspec

from domain.attendance.plan import BOTH_HALVES, NO_HALVES
from domain.enums import DayType, HalfOfDay, PlanOrigin
from domain.ids import ShiftId

EVERY_WEEKDAY = 0b1111111
EVERY_WEEK = 0b11111


class RosterEntry(msgspec.Struct, frozen=True):
    """A published roster entry of one date; without a shift the date is explicitly off."""

    shift_id: ShiftId | None


class Assignment(msgspec.Struct, frozen=True):
    """A shift from `valid_from` to `valid_to` (inclusive, None is open); bit 0 of `iso_weekdays` is Monday."""

    shift_id: ShiftId
    valid_from: date
    valid_to: date | None = None
    iso_weekdays: int = EVERY_WEEKDAY

    def covers(self, day: date) -> bool:
        """Whether the assignment says something about `day`."""
        within = self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)
        return within and bool(self.iso_weekdays >> day.weekday() & 1)


class WeeklyOff(msgspec.Struct, frozen=True):
    """A weekday that is off; bit i of `weeks_of_month` is its (i+1)-th in the month; `half` None is the whole day."""

    iso_weekday: int
    weeks_of_month: int = EVERY_WEEK
    half: HalfOfDay | None = None

    def covers(self, day: date) -> bool:
        """Whether `day` is such a weekday, e.g. the 2nd or 4th Saturday."""
        return day.isoweekday() == self.iso_weekday and bool(self.weeks_of_month >> (day.day - 1) // 7 & 1)


class HolidayFact(msgspec.Struct, frozen=True):
    """A holiday of the location; an optional one is no day off by itself."""

    half: HalfOfDay | None = None
    optional: bool = False


def resolve_shift(
    day: date, roster: RosterEntry | None, assignments: Sequence[Assignment], default: ShiftId | None
) -> tuple[ShiftId | None, PlanOrigin | None]:
    """The shift of `day` and where it comes from: roster beats assignment beats default."""
    if roster is not None:
        return roster.shift_id, PlanOrigin.ROSTER
    for assignment in assignments:
        if assignment.covers(day):
            return assignment.shift_id, PlanOrigin.ASSIGNMENT
    return (default, PlanOrigin.DEFAULT) if default is not None else (None, None)


def day_type_of(
    day: date, holiday: HolidayFact | None, work_week: Sequence[WeeklyOff], roster: RosterEntry | None
) -> tuple[DayType, frozenset[HalfOfDay]]:
    """(day type, halves off): holiday, else weekly off, else working; a rostered shift makes any day WORKING."""
    if roster is not None:
        return (DayType.WORKING, NO_HALVES) if roster.shift_id is not None else (DayType.WEEKLY_OFF, BOTH_HALVES)
    if holiday is not None and not holiday.optional:
        return DayType.HOLIDAY, _halves(holiday.half)
    for weekly_off in work_week:
        if weekly_off.covers(day):
            return DayType.WEEKLY_OFF, _halves(weekly_off.half)
    return DayType.WORKING, NO_HALVES


def _halves(half: HalfOfDay | None) -> frozenset[HalfOfDay]:
    return BOTH_HALVES if half is None else frozenset({half})
