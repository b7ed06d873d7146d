"""Fills an empty database with the demo company.

Several processes write their shares side by side, each employee whole in one transaction. What makes the company one
that can be served comes last: its users and the instant up to which it is filled. Without them the filling was
interrupted, and the next one starts anew.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Final

from db.database import Database
from db.demo import (
    DemoCompanyRow,
    advance_demo,
    begin_demo,
    clear_demo,
    finish_ids,
    insert_rows,
    is_inhabited,
    is_interrupted,
    lock_demo,
    name_leaders,
    relax,
)
from db.roll_up import refresh_all_stats
from domain.errors import RollcallError
from ops.demo.company import Blueprint, blueprint, company_facts, last_begun
from ops.demo.rows import company_rows, employee_row
from ops.demo.share import Share, run_aside, write_share
from ops.demo.users import DEMO_PASSWORD, SignedIn, signed_in, user_rows
from web.passwords import hash_password
from web.settings import usable_cores

Progress = Callable[[int, int], None]

SMALL: Final = 20_000
"""Employee-days below which starting further processes takes longer than it saves."""
STATS_AT_ONCE: Final = timedelta(days=31)


class DemoRefused(RollcallError):
    """The demo company cannot be put into this database."""


async def is_empty(database: Database) -> bool:
    """Whether there is nobody here: a demo company whose filling was interrupted counts as nobody."""
    async with database.read() as connection:
        return not await is_inhabited(connection) or await is_interrupted(connection)


async def fill_demo(
    database: Database, employees: int, days: int, seed: int, now: datetime, progress: Progress
) -> None:
    """Put a company of `employees` with `days` days until `now` into an empty database.

    `progress` is told (employee-days written, of how many). Raises DemoRefused when the database is not empty.
    """
    plan = blueprint(employees, days, seed, now)
    async with database.transaction() as guard:
        if not await lock_demo(guard, wait=False):
            raise DemoRefused("another process is filling this database with the demo company: wait until it is done")
        await _begin(database, plan)
        people = signed_in(plan, company_facts(plan), now)
        await _write_company(database, plan)
        await _write_people(database, plan, people, now, progress)
        await _write_stats(database, plan.first - timedelta(days=1), last_begun(now))
        await _finish(database, plan, people, now)


async def _begin(database: Database, plan: Blueprint) -> None:
    async with database.transaction() as connection:
        await relax(connection)
        if await is_interrupted(connection):
            await clear_demo(connection)
        elif await is_inhabited(connection):
            raise DemoRefused(
                "the demo company needs an empty database, and this one has employees, users or an organisation: "
                "create another database and name it in DATABASE_URL"
            )
        company = DemoCompanyRow(plan.seed, plan.employees, plan.first, plan.last, plan.planned_until, None)
        await begin_demo(connection, company)


async def _write_company(database: Database, plan: Blueprint) -> None:
    organisation = plan.organisation()
    async with database.transaction() as connection:
        await relax(connection)
        for table, rows in company_rows(plan):
            await insert_rows(connection, table, rows)
        people = (plan.person(organisation, number) for number in range(1, plan.employees + 1))
        await insert_rows(connection, "employee", (employee_row(person) for person in people))
        leaders = {unit.id: unit.manager_id for unit in organisation.units if unit.manager_id is not None}
        await name_leaders(connection, leaders)


async def _write_people(
    database: Database, plan: Blueprint, people: SignedIn, now: datetime, progress: Progress
) -> None:
    days = (plan.last - plan.first).days + 1
    total, done = plan.employees * days, 0

    def advanced(employees: int) -> None:
        nonlocal done
        done += employees * days
        progress(done, total)

    processes = 1 if total < SMALL else usable_cores()
    share = Share(plan, now, people.employees)
    if processes == 1:
        await write_share(database, share, advanced)
        return
    try:
        async with asyncio.TaskGroup() as group:
            for index in range(processes):
                group.create_task(run_aside(database.url, share.part(index, processes), advanced))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _write_stats(database: Database, first: date, last: date) -> None:
    for since, until in _pieces(first, last):
        async with database.transaction() as connection:
            await relax(connection)
            await refresh_all_stats(connection, since, until)


async def _finish(database: Database, plan: Blueprint, people: SignedIn, now: datetime) -> None:
    users, grants = user_rows(await asyncio.to_thread(hash_password, DEMO_PASSWORD), people)
    async with database.transaction() as connection:
        await connection.script("SET LOCAL statement_timeout = 0")
        await insert_rows(connection, "app_user", users)
        await insert_rows(connection, "role_grant", grants)
        await advance_demo(connection, plan.planned_until, now)
        await finish_ids(connection)


def _pieces(first: date, last: date) -> Iterator[tuple[date, date]]:
    while first <= last:
        until = min(last, first + STATS_AT_ONCE - timedelta(days=1))
        yield first, until
        first = until + timedelta(days=1)
