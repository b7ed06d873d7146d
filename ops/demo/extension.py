"""Brings an older demo company up to the present: plans, punches and days since it was last filled.

The plans are those that stand in the database now, so what people changed in it counts. Who can sign in as an employee
punches for himself today; a day on which he did not is filled in once it is over.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec

from db.connection import WriteConnection
from db.database import Database
from db.days import derive_days
from db.demo import (
    DemoCompanyRow,
    advance_demo,
    assign_missing,
    demo_company,
    insert_rows,
    lock_demo,
    make_partitions,
    punch_numbers,
    relax,
    unsettled,
    user_employees,
)
from db.facts import company_facts, employee_facts
from domain.attendance.work_days import Company, EmployeeFacts, PlannedDay, planned_days, zone
from domain.ids import EmployeeId
from ops.demo.company import Blueprint, all_holidays, drawn_punches, last_begun
from ops.demo.fill import Progress
from ops.demo.organisation import Organisation
from ops.demo.people import Person
from ops.demo.plans import period_of, planned
from ops.demo.punches import RawPunch
from ops.demo.rows import (
    ASSIGNMENT_COLUMNS,
    LEAVE_COLUMNS,
    PUNCH_COLUMNS,
    ROSTER_COLUMNS,
    Rows,
    assignment_row,
    holiday_rows,
    leave_row,
    named,
    punch_row,
    roster_row,
)

EMPLOYEES_AT_ONCE: Final = 200
UNFINISHED: Final = timedelta(days=2)
"""How long before the last filling a day may have begun that was not over then."""

FRESH: Final = timedelta(minutes=15)
"""A company that was filled so recently is up to date: starting again at once costs nothing."""

SLACK: Final = timedelta(hours=4)
"""How far punches may lie outside of a window that somebody made narrower."""


class Extension(msgspec.Struct, frozen=True):
    """From which instant, excluded, to which a company is filled further."""

    plan: Blueprint
    since: datetime
    now: datetime

    @property
    def days(self) -> tuple[date, date]:
        """The first and last date on which something can have happened."""
        return max(self.plan.first, self.since.date() - UNFINISHED), last_begun(self.now)

    def touches(self, day: PlannedDay) -> bool:
        """Whether punches of a day can lie between the two instants; cheaper than drawing them."""
        return day.plan.window_from - SLACK < self.now and self.since < day.plan.window_to + SLACK

    def chunks(self) -> Iterator[list[EmployeeId]]:
        """The employees, in runs for one transaction each."""
        for start in range(1, self.plan.employees + 1, EMPLOYEES_AT_ONCE):
            yield [EmployeeId(n) for n in range(start, min(start + EMPLOYEES_AT_ONCE, self.plan.employees + 1))]


class Standing(msgspec.Struct, frozen=True):
    """What is known before anything is added: who can sign in, and who has days that nobody settled."""

    organisation: Organisation
    sign_in: set[EmployeeId]
    unsettled: set[EmployeeId]


async def bring_up_to_date(database: Database, now: datetime, progress: Progress) -> int:
    """Fill the demo company up to `now`; returns how many days came or changed: 0 without a demo company here.

    `progress` is told (employees done, of how many). Interrupted, it begins again from where the last one ended.
    """
    async with database.transaction() as guard:
        await lock_demo(guard, wait=True)
        company = await demo_company(guard)
        if company is None or company.filled_until is None or now - company.filled_until < FRESH:
            return 0
        plan = Blueprint(company.seed, company.employees, company.first_date, company.last_date)
        extension = Extension(plan, company.filled_until, now)
        planned_until = await _plan_further(database, company, extension)
        changed = await _fill_further(database, extension, progress)
        await advance_demo(guard, planned_until, now)
        return changed


async def _plan_further(database: Database, company: DemoCompanyRow, extension: Extension) -> date:
    """Holidays of further years, and plans of further periods; returns until when there are plans."""
    present = Blueprint(company.seed, company.employees, company.first_date, extension.now.date())
    new_years = range(extension.since.year + 2, extension.now.year + 2)
    periods = range(period_of(company.planned_until) + 1, period_of(present.planned_until) + 1)
    async with database.transaction() as connection:
        await make_partitions(connection, extension.since.date(), extension.now.date())
        await insert_rows(connection, "holiday", holiday_rows(all_holidays(new_years)))
    if not periods:
        return company.planned_until
    organisation = extension.plan.organisation()
    for ids in extension.chunks():
        async with database.transaction() as connection:
            await relax(connection)
            await _store_plans(connection, [extension.plan.person(organisation, n) for n in ids], company.seed, periods)
    return present.planned_until


async def _store_plans(connection: WriteConnection, people: Sequence[Person], seed: int, periods: range) -> None:
    assignments: Rows = []
    roster: Rows = []
    leaves: Rows = []
    for someone in people:
        plans = planned(someone, seed, periods[0], periods[-1])
        assignments += named(ASSIGNMENT_COLUMNS, (assignment_row(someone.id, one) for one in plans.assignments))
        roster += named(ROSTER_COLUMNS, (roster_row(someone.id, *entry) for entry in plans.roster.items()))
        leaves += named(LEAVE_COLUMNS, (leave_row(someone.id, leave) for leave in plans.leaves))
    await assign_missing(connection, assignments)
    await insert_rows(connection, "roster_day", roster)
    await insert_rows(connection, "leave_request", leaves)


async def _fill_further(database: Database, extension: Extension, progress: Progress) -> int:
    organisation = extension.plan.organisation()
    async with database.read() as connection:
        standing = Standing(organisation, await user_employees(connection), await unsettled(connection, extension.now))
        company = await company_facts(connection, *extension.days)
    changed = done = 0
    for ids in extension.chunks():
        async with database.transaction() as connection:
            await relax(connection)
            changed += await _fill_chunk(connection, ids, company, extension, standing)
        done += len(ids)
        progress(done, extension.plan.employees)
    return changed


async def _fill_chunk(
    connection: WriteConnection, ids: list[EmployeeId], company: Company, extension: Extension, standing: Standing
) -> int:
    new: list[tuple[EmployeeId, RawPunch]] = []
    to_derive = standing.unsettled & set(ids)
    for facts in await employee_facts(connection, ids, *extension.days):
        someone = extension.plan.person(standing.organisation, facts.id)
        punches = _new_punches(someone, facts, company, extension, facts.id in standing.sign_in)
        new += ((facts.id, punch) for punch in punches)
        if punches or _day_has_begun(facts, company, extension):
            to_derive.add(facts.id)
    numbers = await punch_numbers(connection, len(new))
    rows = (punch_row(employee_id, punch, number) for (employee_id, punch), number in zip(new, numbers, strict=True))
    await insert_rows(connection, "punch", named(PUNCH_COLUMNS, rows))
    derivation = await derive_days(connection, to_derive, *extension.days, extension.now)
    return len(derivation.changes)


def _new_punches(
    someone: Person, facts: EmployeeFacts, company: Company, extension: Extension, signs_in: bool
) -> list[RawPunch]:
    days = [day for day in planned_days(facts, company, *extension.days) if extension.touches(day)]
    if signs_in:
        days = [day for day in days if _is_left_empty(day, facts, extension)]
    punches = drawn_punches(extension.plan.seed, someone, facts, days)
    return [p for p in punches if (signs_in or p.at > extension.since) and p.at <= extension.now]


def _is_left_empty(day: PlannedDay, facts: EmployeeFacts, extension: Extension) -> bool:
    """Whether a day that was not over at the last filling is over now, without a punch."""
    local = zone(day.time_zone)
    over = extension.since.astimezone(local).date() <= day.work_date < extension.now.astimezone(local).date()
    return over and not any(day.plan.window_from <= punch.at < day.plan.window_to for punch in facts.punches)


def _day_has_begun(facts: EmployeeFacts, company: Company, extension: Extension) -> bool:
    """Whether another date began where somebody works."""
    today = extension.now.date()
    posting = facts.posting_on(today) or facts.postings[-1]
    local = zone(facts.own_time_zone or company.locations[posting.location_id].zone_on(today))
    return extension.since.astimezone(local).date() != extension.now.astimezone(local).date()
