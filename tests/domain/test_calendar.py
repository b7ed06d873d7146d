"""Which shift a date has, what kind of day it is, and the metrics over days."""

from datetime import date

import pytest

from domain.attendance.calendar import Assignment, HolidayFact, RosterEntry, WeeklyOff, day_type_of, resolve_shift
from domain.attendance.metrics import Sums
from domain.enums import DayType, HalfOfDay, PlanOrigin
from domain.ids import ShiftId

EARLY, LATE, NIGHT = ShiftId(1), ShiftId(2), ShiftId(3)
TUESDAY, SECOND_SATURDAY, THIRD_SATURDAY = date(2026, 3, 17), date(2026, 3, 14), date(2026, 3, 21)
WEEK = [WeeklyOff(7), WeeklyOff(6, weeks_of_month=0b01010)]
MONDAYS_ONLY = Assignment(LATE, date(2026, 3, 1), date(2026, 3, 31), iso_weekdays=0b0000001)


@pytest.mark.parametrize(
    ("roster", "assignments", "default", "expected"),
    [
        (RosterEntry(NIGHT), [Assignment(LATE, date(2026, 1, 1))], EARLY, (NIGHT, PlanOrigin.ROSTER)),
        (RosterEntry(None), [Assignment(LATE, date(2026, 1, 1))], EARLY, (None, PlanOrigin.ROSTER)),
        (None, [Assignment(LATE, date(2026, 3, 17), date(2026, 3, 17))], EARLY, (LATE, PlanOrigin.ASSIGNMENT)),
        (None, [Assignment(LATE, date(2026, 3, 18))], EARLY, (EARLY, PlanOrigin.DEFAULT)),
        (None, [MONDAYS_ONLY], EARLY, (EARLY, PlanOrigin.DEFAULT)),
        (None, [], None, (None, None)),
    ],
)
def test_roster_beats_assignment_beats_default(roster, assignments, default, expected) -> None:
    assert resolve_shift(TUESDAY, roster, assignments, default) == expected


@pytest.mark.parametrize(
    ("day", "holiday", "roster", "expected"),
    [
        (TUESDAY, None, None, (DayType.WORKING, set())),
        (SECOND_SATURDAY, None, None, (DayType.WEEKLY_OFF, {HalfOfDay.FIRST, HalfOfDay.SECOND})),
        (THIRD_SATURDAY, None, None, (DayType.WORKING, set())),
        (SECOND_SATURDAY, HolidayFact(), None, (DayType.HOLIDAY, {HalfOfDay.FIRST, HalfOfDay.SECOND})),
        (TUESDAY, HolidayFact(HalfOfDay.SECOND), None, (DayType.HOLIDAY, {HalfOfDay.SECOND})),
        (TUESDAY, HolidayFact(optional=True), None, (DayType.WORKING, set())),
        (SECOND_SATURDAY, HolidayFact(), RosterEntry(NIGHT), (DayType.WORKING, set())),
        (TUESDAY, None, RosterEntry(None), (DayType.WEEKLY_OFF, {HalfOfDay.FIRST, HalfOfDay.SECOND})),
    ],
)
def test_holiday_then_weekly_off_then_working(day, holiday, roster, expected) -> None:
    assert day_type_of(day, holiday, WEEK, roster) == expected


def test_rates_are_of_days_and_over_nothing_they_are_none() -> None:
    nothing = Sums()
    assert (nothing.attendance_rate, nothing.punctuality_rate, nothing.utilisation_rate) == (None, None, None)
    some = Sums(
        present_halves=6, punctual_halves=3, leave_halves=1, absent_halves=1, worked_minutes=90, expected_minutes=120
    )
    assert (some.scheduled_days, some.attendance_rate, some.absenteeism_rate) == (4.0, 0.75, 0.125)
    assert (some.punctuality_rate, some.utilisation_rate, some.worked_hours) == (0.5, 0.75, 1.5)
