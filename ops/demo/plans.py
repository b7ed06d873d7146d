"""What is planned for an employee of the demo company: postings, shifts, rosters and leave.

Everything that goes on for ever is drawn by periods of two weeks, from Sunday to Saturday, so that an older company can
be planned further without another look at what went before.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final

import msgspec

from domain.attendance.calendar import Assignment, RosterEntry
from domain.attendance.work_days import Leave, Posting
from domain.enums import HalfOfDay
from domain.ids import LeaveTypeId
from ops.demo.draws import Draws
from ops.demo.organisation import Pattern, Unit
from ops.demo.people import Person
from ops.demo.shifts import DAY, EARLY, LATE, NIGHT, STORE

PLAN: Final = 2
PERIOD: Final = timedelta(days=14)
PERIODS_AHEAD: Final = 3
_EPOCH: Final = date(2000, 1, 2)  # a Sunday
_ROTATION: Final = (EARLY, LATE, NIGHT)
_MONDAY_TO_WEDNESDAY, _OTHER_WEEKDAYS = 0b0000111, 0b1111000
ANNUAL, SICK, UNPAID, VOLUNTEERING = (LeaveTypeId(number) for number in range(1, 5))


class LeaveType(msgspec.Struct, frozen=True):
    """A kind of leave."""

    id: LeaveTypeId
    code: str
    name: str
    paid: bool
    allow_half_day: bool


LEAVE_TYPES: Final = (
    LeaveType(ANNUAL, "ANNUAL", "Annual leave", True, True),
    LeaveType(SICK, "SICK", "Sick leave", True, True),
    LeaveType(UNPAID, "UNPAID", "Unpaid leave", False, False),
    LeaveType(VOLUNTEERING, "VOLUNTEER", "Volunteering", True, True),
)
_LEAVE_SHARES: Final = ((ANNUAL, 0.62), (SICK, 0.3), (UNPAID, 0.05), (VOLUNTEERING, 0.03))
_REASONS: Final[Mapping[LeaveTypeId, str]] = {
    ANNUAL: "Holiday",
    SICK: "Not well",
    UNPAID: "Family matters",
    VOLUNTEERING: "A day for the neighbourhood",
}


class Planned(msgspec.Struct, frozen=True):
    """The plans of one employee for some periods."""

    assignments: list[Assignment]
    roster: dict[date, RosterEntry]
    leaves: list[Leave]


def period_of(day: date) -> int:
    """The number of the period that `day` lies in."""
    return (day - _EPOCH) // PERIOD


def start_of(period: int) -> date:
    """The Sunday on which a period starts."""
    return _EPOCH + period * PERIOD


def reason_of(leave: Leave) -> str:
    """What somebody wrote into the request."""
    return _REASONS[leave.leave_type_id]


def postings(person: Person) -> list[Posting]:
    """Where somebody belonged, oldest first."""
    present = Posting(person.moved_on or person.hired_on, None, person.unit.id, person.place.id, person.manager_id)
    if person.former_unit is None or person.moved_on is None:
        return [present]
    return [_former(person, person.former_unit, person.moved_on), present]


def _former(person: Person, unit: Unit, moved_on: date) -> Posting:
    return Posting(person.hired_on, moved_on - timedelta(days=1), unit.id, person.place.id, unit.manager_id)


def lasting_assignments(person: Person) -> list[Assignment]:
    """Assignments without an end: two shifts that share the week."""
    if person.pattern is not Pattern.SPLIT_WEEK:
        return []
    return [
        Assignment(DAY, person.hired_on, None, _MONDAY_TO_WEDNESDAY),
        Assignment(LATE, person.hired_on, None, _OTHER_WEEKDAYS),
    ]


def planned(person: Person, seed: int, first: int, last: int) -> Planned:
    """What is planned for the periods from `first` to `last`."""
    found = Planned([], {}, [])
    for period in range(first, last + 1):
        start, end = start_of(period), start_of(period + 1) - timedelta(days=1)
        if end < person.hired_on or (person.left_on and start > person.left_on):
            continue
        draws = Draws(seed, PLAN, person.id, period)
        found.leaves.extend(_leave(person, start, draws))
        if person.pattern is Pattern.ROTATING:
            shift = _ROTATION[(period + person.id) % len(_ROTATION)]
            found.assignments.append(Assignment(shift, max(start, person.hired_on), end))
        elif person.pattern is Pattern.ROSTERED:
            found.roster.update(_roster(start, draws))
    return found


def _roster(start: date, draws: Draws) -> Iterator[tuple[date, RosterEntry]]:
    """A Saturday worked in the store, and a weekday off for it."""
    yield start + timedelta(days=draws.pick((6, 13))), RosterEntry(STORE)
    yield start + timedelta(days=draws.pick((2, 3, 9, 10))), RosterEntry(None)


def _leave(person: Person, start: date, draws: Draws) -> Iterator[Leave]:
    """At most one leave in a period, wholly within it."""
    if not draws.chance(0.11):
        return
    kind = draws.weighted(_LEAVE_SHARES)
    first = start + timedelta(days=draws.below(12))
    if kind is ANNUAL and draws.chance(0.2):
        half = draws.pick(tuple(HalfOfDay))
        leave = Leave(kind, first, first, half, half)
    else:
        longest = 3 if kind is SICK else 10 if kind is ANNUAL else 1
        days = draws.between(1, min(longest, (start + PERIOD - first).days))
        leave = Leave(kind, first, first + timedelta(days=days - 1))
    if leave.start_date >= person.hired_on and (person.left_on is None or leave.end_date <= person.left_on):
        yield leave
