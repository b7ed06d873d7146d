"""The demo company as a whole: a pure function of its size, its seed and the days it shows."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from domain.attendance.calendar import HolidayFact
from domain.attendance.plan import NO_HALVES, PunchFact
from domain.attendance.work_days import (
    ONE_DAY,
    Company,
    EmployeeFacts,
    LocationFacts,
    PlannedDay,
    WorkDay,
    planned_days,
    work_days,
)
from domain.enums import HalfOfDay
from domain.ids import LocationId
from ops.demo.holidays import Holiday, holidays_of_year
from ops.demo.organisation import Organisation
from ops.demo.people import Person, person
from ops.demo.places import PLACES, WORK_WEEKS
from ops.demo.plans import PERIODS_AHEAD, lasting_assignments, period_of, planned, postings, start_of
from ops.demo.punches import RawPunch, day_punches
from ops.demo.shifts import rule_versions

DERIVED_AT_ONCE: Final = timedelta(days=28)
"""Days derived in one go: the rules look for the day of a punch among all of them."""
REACH: Final = timedelta(days=4)


class Blueprint(msgspec.Struct, frozen=True):
    """What a demo company is made from: all else follows."""

    seed: int
    employees: int
    first: date
    last: date

    @property
    def planned_until(self) -> date:
        """The end of the last period that is planned from the start."""
        return start_of(period_of(self.last) + PERIODS_AHEAD) - ONE_DAY

    def organisation(self) -> Organisation:
        """The department tree."""
        return Organisation(self.employees)

    def person(self, organisation: Organisation, number: int) -> Person:
        """Employee `number`, from 1 to `employees`."""
        return person(organisation, self.seed, number, self.first, self.last)


class Member(msgspec.Struct, frozen=True):
    """An employee with plans and punches, ready to be written."""

    person: Person
    facts: EmployeeFacts
    punches: list[RawPunch]


def blueprint(employees: int, days: int, seed: int, now: datetime) -> Blueprint:
    """A company whose `days` days end with the present date in UTC."""
    last = now.date()
    return Blueprint(seed, employees, last - timedelta(days=days - 1), last)


def last_begun(now: datetime) -> date:
    """The latest date that has begun anywhere on earth."""
    return (now + timedelta(hours=14)).date()


def years_of(first: date, last: date) -> range:
    """The years whose holidays a company of these days needs."""
    return range(first.year, last.year + 2)


def company_facts(plan: Blueprint) -> Company:
    """The calendars and rules of the company."""
    holidays: dict[LocationId, dict[date, HolidayFact]] = {place.id: {} for place in PLACES}
    for holiday in all_holidays(years_of(plan.first, plan.last)):
        holidays[holiday.location_id][holiday.date] = HolidayFact(holiday.half, holiday.optional)
    weeks = {week.id: week.off for week in WORK_WEEKS}
    locations = {
        place.id: LocationFacts(place.time_zone, holidays[place.id], weeks[place.work_week_id]) for place in PLACES
    }
    return Company(locations, rule_versions(plan.first, plan.last))


def all_holidays(years: Iterable[int]) -> Iterator[Holiday]:
    """The holidays of some years."""
    for year in years:
        yield from holidays_of_year(year)


def member(plan: Blueprint, company: Company, someone: Person, now: datetime, absent_on: date | None) -> Member:
    """Somebody with everything up to `now`; on the date `absent_on` they have not punched."""
    plans = planned(someone, plan.seed, period_of(plan.first), period_of(plan.planned_until))
    facts = EmployeeFacts(
        someone.id,
        someone.hired_on,
        someone.left_on,
        someone.own_time_zone,
        someone.default_shift_id,
        postings(someone),
        [*lasting_assignments(someone), *plans.assignments],
        plans.roster,
        plans.leaves,
    )
    days = [day for day in planned_days(facts, company, plan.first, last_begun(now)) if day.work_date != absent_on]
    return Member(someone, facts, [p for p in drawn_punches(plan.seed, someone, facts, days) if p.at <= now])


def drawn_punches(seed: int, someone: Person, facts: EmployeeFacts, days: Iterable[PlannedDay]) -> list[RawPunch]:
    """The punches of some planned days, in order, each once."""
    found: dict[tuple[datetime, str], RawPunch] = {}
    for day in days:
        for punch in day_punches(someone, day, _leave_on(facts, day.work_date), seed):
            found.setdefault((punch.at, punch.direction), punch)
    return sorted(found.values(), key=lambda punch: (punch.at, punch.direction))


def _leave_on(facts: EmployeeFacts, day: date) -> frozenset[HalfOfDay]:
    halves = NO_HALVES
    for leave in facts.leaves:
        halves |= leave.halves_on(day)
    return halves


def derived_days(one: Member, company: Company, first: date, now: datetime) -> Iterator[WorkDay]:
    """The days of somebody from `first` to the present, by the rules."""
    facts = [PunchFact(p.at, p.direction, None, p.source, p.outside_geofence) for p in one.punches]
    last = last_begun(now)
    while first <= last:
        until = min(last, first + DERIVED_AT_ONCE - ONE_DAY)
        near = [punch for punch in facts if first - REACH <= punch.at.date() <= until + REACH]
        yield from work_days(msgspec.structs.replace(one.facts, punches=near), company, first, until, now)
        first = until + ONE_DAY
