"""Deriving days again on request."""

from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry

from db.connection import WriteConnection
from db.day_writes import employees_of_days
from db.days import derive_days
from db.rows import DayRow
from domain.errors import ErrorCode
from domain.periods import ONE_DAY
from domain.permission import NOBODY
from resolvers.arguments import given
from resolvers.changes import UserErrorValue, changed, forbidden, problem
from resolvers.context import Info
from resolvers.described import Days
from resolvers.scope import day_filter

MOST_EMPLOYEE_DAYS: Final = 100_000
SAMPLE: Final = 20

DryRun: TypeAlias = Annotated[bool | None, strawberry.argument(description="Only count what it would change.")]


class Recomputed(msgspec.Struct, frozen=True):
    """How many days were derived again, how many of them came out differently, and some of those."""

    days: int
    changed: int
    sample: list[DayRow]


class RecomputePayload(Recomputed, frozen=True):
    """What it came to, or what was wrong."""

    user_errors: list[UserErrorValue] = []


async def recompute(info: Info, filter: Days, dry_run: DryRun = True) -> RecomputePayload:
    """Derive all days of the period again, of every employee who has a day within the filter."""
    context, viewer = info.context, info.context.require_viewer()

    async def work(connection: WriteConnection) -> Recomputed:
        if viewer.managed == NOBODY:
            raise forbidden("", "needed a grant to manage attendance", "MANAGER")
        days, dates = await day_filter(context, filter)
        managed = msgspec.structs.replace(days, reach=viewer.managed)
        most = MOST_EMPLOYEE_DAYS // dates.days
        employees = await employees_of_days(connection, managed, most + 1)
        if len(employees) > most:
            shown = f"needed at most {MOST_EMPLOYEE_DAYS} days at once; narrow the period or the scope"
            raise problem(ErrorCode.TOO_MANY, "filter", shown)
        last = min(dates.last, context.now().date() + ONE_DAY)
        if last < dates.first:
            return Recomputed(0, 0, [])
        derived = await derive_days(connection, employees, dates.first, last, context.now(), only_known=True)
        sample = [after for _, after in derived.changes if after is not None][:SAMPLE]
        return Recomputed(derived.days, len(derived.changes), sample)

    done, problems = await changed(context, work, dry_run=given(dry_run) is not False)
    found = done or Recomputed(0, 0, [])
    return RecomputePayload(found.days, found.changed, found.sample, problems)
