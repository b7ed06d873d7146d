"""Every employee of the demo company, drawn by number: posting, habits, when hired and when gone."""

from datetime import date, timedelta
from typing import Final

import msgspec

from domain.enums import EmployeeStatus, EmploymentType
from domain.ids import DepartmentId, EmployeeId, ShiftId
from ops.demo.draws import Draws, shuffled
from ops.demo.names import email_of, full_name
from ops.demo.organisation import Organisation, Pattern, Unit
from ops.demo.places import PLACES, Place
from ops.demo.shifts import DAY, FLEX, HALF, NIGHT, STORE

PERSON: Final = 1  # first numbers of the keys of draws, so that no two purposes share a stream
EMPLOYEE_NO: Final = 4
BADGE_NO: Final = 5
HIRED_SHARE, LEFT_SHARE, MOVED_SHARE = 0.04, 0.03, 0.04
OWN_ZONE: Final = "Europe/Lisbon"

_DEFAULT_SHIFTS: Final = {
    Pattern.DAY: DAY,
    Pattern.FLEXIBLE: FLEX,
    Pattern.PART_TIME: HALF,
    Pattern.NIGHT: NIGHT,
    Pattern.ROSTERED: STORE,
}
_LATENESS: Final = (
    (-8.0, 0.68),
    (-2.0, 0.22),
    (11.0, 0.1),
)  # minutes after the start on average; the last are habitual


class Habits(msgspec.Struct, frozen=True):
    """How somebody comes and goes; probabilities are per working day."""

    lateness_minutes: float
    remote: float
    forgets_out: float
    forgets_in: float
    stays_away: float
    stays_late: float


class Person(msgspec.Struct, frozen=True):
    """An employee; `former_unit` is where somebody worked who moved on `moved_on`."""

    id: EmployeeId
    employee_no: str
    full_name: str
    email: str
    badge_no: str | None
    status: EmployeeStatus
    employment_type: EmploymentType
    job: str
    unit: Unit
    place: Place
    manager_id: EmployeeId | None
    pattern: Pattern
    default_shift_id: ShiftId | None
    own_time_zone: str | None
    hired_on: date
    left_on: date | None
    former_unit: Unit | None
    moved_on: date | None
    habits: Habits

    @property
    def department_id(self) -> DepartmentId:
        """Today's department."""
        return self.unit.id


def person(organisation: Organisation, seed: int, number: int, first: date, last: date) -> Person:
    """Employee `number` of a company whose days go from `first` to `last`.

    Numbers and badges do not follow the id: under a pseudonym an employee is shown by it.
    """
    employee_no = shuffled(number, seed, EMPLOYEE_NO)
    draws = Draws(seed, PERSON, number)
    employee, name = EmployeeId(number), full_name(draws)
    led = organisation.led_by(employee)
    unit = led or organisation.team(draws.below(organisation.teams_count))
    place = unit.place if led or draws.chance(0.85) else draws.pick(PLACES)
    pattern = _pattern(draws, unit, led is not None)
    hired_on, left_on = _career(draws, led is not None, first, last)
    former, moved_on = (
        _move(draws, organisation, unit, (max(first, hired_on), left_on or last)) if led is None else (None, None)
    )
    above = organisation.parent(unit) if led else unit
    return Person(
        id=employee,
        employee_no=f"E{employee_no:06d}",
        full_name=name,
        email=email_of(name, employee_no),
        badge_no=f"B{shuffled(number, seed, BADGE_NO):06d}" if draws.chance(0.97) else None,
        status=EmployeeStatus.TERMINATED if left_on else EmployeeStatus.ACTIVE,
        employment_type=_employment(draws, pattern),
        job=_job(draws, unit, led is not None),
        unit=unit,
        place=place,
        manager_id=above.manager_id if above.manager_id != employee else None,
        pattern=pattern,
        default_shift_id=_DEFAULT_SHIFTS.get(pattern),
        own_time_zone=OWN_ZONE if place.code == "BER" and draws.chance(0.05) else None,
        hired_on=hired_on,
        left_on=left_on,
        former_unit=former,
        moved_on=moved_on,
        habits=_habits(draws, pattern),
    )


def _pattern(draws: Draws, unit: Unit, leads: bool) -> Pattern:
    if leads or unit.kind is None:
        return Pattern.DAY
    return draws.weighted(unit.kind.patterns)


def _career(draws: Draws, leads: bool, first: date, last: date) -> tuple[date, date | None]:
    """(hired, left): a few are hired and a few leave within the days shown."""
    days = (last - first).days
    before = first - timedelta(days=30 + draws.below(12 * 365))
    change = draws.unit()
    if leads or days < 2 or change > HIRED_SHARE + LEFT_SHARE:
        return before, None
    within = first + timedelta(days=1 + draws.below(days - 1))
    return (within, None) if change < HIRED_SHARE else (before, within)


def _move(
    draws: Draws, organisation: Organisation, unit: Unit, within: tuple[date, date]
) -> tuple[Unit | None, date | None]:
    """(former team, when): a few moved from another team within the days shown."""
    since, until = within
    former = organisation.team(draws.below(organisation.teams_count))
    day = since + timedelta(days=1 + draws.below(max(1, (until - since).days)))
    moves = draws.chance(MOVED_SHARE) and former.id != unit.id and day <= until
    return (former, day) if moves else (None, None)


def _employment(draws: Draws, pattern: Pattern) -> EmploymentType:
    if pattern is Pattern.PART_TIME:
        return EmploymentType.PART_TIME
    shares = ((EmploymentType.FULL_TIME, 0.88), (EmploymentType.CONTRACT, 0.07), (EmploymentType.INTERN, 0.05))
    return draws.weighted(shares)


def _job(draws: Draws, unit: Unit, leads: bool) -> str:
    if unit.kind is None:
        return "Managing Director"
    if leads:
        return f"Head of {unit.name}"
    return draws.pick(unit.kind.jobs)


def _habits(draws: Draws, pattern: Pattern) -> Habits:
    at_desk = pattern in (Pattern.DAY, Pattern.FLEXIBLE)
    return Habits(
        lateness_minutes=draws.weighted(_LATENESS),
        remote=draws.weighted(((0.02, 0.45), (0.2, 0.4), (0.6, 0.15))) if at_desk else 0.0,
        forgets_out=draws.weighted(((0.005, 0.8), (0.04, 0.2))),
        forgets_in=0.003,
        stays_away=draws.weighted(((0.004, 0.9), (0.04, 0.1))),
        stays_late=draws.weighted(((0.02, 0.75), (0.2, 0.25))),
    )
