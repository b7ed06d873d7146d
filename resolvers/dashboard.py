"""Today at a glance."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

import msgspec
import strawberry

from db.dashboard import OpenExceptionsKey, Today, TodayKey
from db.day_filter import DayFilter
from db.employees import EmployeeFilter, EmployeePageKey
from db.rows import EmployeeRow
from domain.attendance.metrics import Sums
from domain.ids import DepartmentId
from domain.permission import MIN_GROUP_SIZE
from loaders.approvals import pending_approvals
from loaders.days import dashboards, open_exceptions
from loaders.employees import employee_counts, employee_pages
from resolvers.arguments import window_of
from resolvers.connections import Connection, connection
from resolvers.context import Context, Info, shown
from resolvers.described import First, Scope
from resolvers.metrics import SUPPRESSED, Metrics, metrics
from resolvers.ordering import default_order
from resolvers.scope import today_filter
from resolvers.small_groups import is_small
from resolvers.stats import Dimension, StatRow, stat_key

EXCEPTION_DAYS: Final = timedelta(days=31)
MOST_LATE: Final = 500


class DashboardToday(msgspec.Struct, frozen=True):
    """The dashboard of a scope at an instant; `few`: of fewer people than the viewer may see figures of."""

    as_of: datetime
    found: Today
    filter: DayFilter
    few: bool = False

    @property
    def in_now(self) -> int:
        """How many are in."""
        return self.found.in_now


async def today(info: Info, scope: Scope = strawberry.UNSET) -> DashboardToday:
    """The present day of everyone whom the viewer may see, each in their own zone."""
    context = info.context
    filter_ = await today_filter(context, scope, context.minute())
    found = await context.must(dashboards, TodayKey(filter_))
    people = sum(sums.days for _, sums in found.by_department)
    few = context.require_viewer().needs_groups and people < MIN_GROUP_SIZE
    if few:
        found = msgspec.structs.replace(found, in_now=0, late_not_in=(), on_leave=())
    return DashboardToday(context.as_of(), found, filter_, few)


def totals(row: strawberry.Parent[DashboardToday], info: Info) -> Metrics:
    """Figures of everyone."""
    total = Sums()
    for _, sums in row.found.by_department:
        total = total + sums
    return _figures(info.context, total)


def _figures(context: Context, sums: Sums) -> Metrics:
    """A day is one employee's, so the days are the heads."""
    if context.require_viewer().needs_groups and is_small(sums.days):
        return SUPPRESSED
    return metrics(sums, heads=sums.days)


async def by_department(row: strawberry.Parent[DashboardToday], info: Info) -> list[StatRow]:
    """Figures by department, by name; those too small for the viewer are left out."""
    figures = [(department_id, _figures(info.context, sums)) for department_id, sums in row.found.by_department]
    rows = (_department_row(info.context, id_, of_department) for id_, of_department in figures)
    shown = [row for row in await asyncio.gather(*rows) if not row.metrics.suppressed]
    return sorted(shown, key=lambda row: (row.keys[0].label, row.keys[0].value))


async def _department_row(context: Context, department_id: DepartmentId, figures: Metrics) -> StatRow:
    return StatRow([await stat_key(context, Dimension.DEPARTMENT, str(department_id))], figures)


async def late_not_in(row: strawberry.Parent[DashboardToday], info: Info) -> list[EmployeeRow]:
    """Who should have come by now, the earliest expected first."""
    people = await asyncio.gather(*(info.context.employee(id_) for id_ in row.found.late_not_in[:MOST_LATE]))
    return [person for person in people if person is not None]


async def on_leave(row: strawberry.Parent[DashboardToday], info: Info, first: First = 20) -> Connection[EmployeeRow]:
    """Who is on leave today."""
    context, viewer = info.context, info.context.require_viewer()
    order = default_order(viewer)
    window = window_of(order, len(order) + 1, first, None)
    people = EmployeeFilter(viewer.seen, employee_ids=row.found.on_leave)
    page = await context.must(employee_pages, EmployeePageKey(people, order, window))
    return connection(
        page, window, order, lambda: context.load(employee_counts, people), shown=lambda person: shown(viewer, person)
    )


async def exceptions_open(row: strawberry.Parent[DashboardToday], info: Info) -> int:
    """Days of the last 31 with a missing punch or an unexplained absence that nobody decided about."""
    if row.few:
        return 0
    days = msgspec.structs.replace(row.filter, first=row.filter.last - EXCEPTION_DAYS, today_at=None)
    return await info.context.load(open_exceptions, OpenExceptionsKey(days)) or 0


async def pending(info: Info) -> int:
    """Leave requests that wait for a decision about people whom the viewer manages."""
    return await info.context.load(pending_approvals, info.context.require_viewer().managed) or 0
