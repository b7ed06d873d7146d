"""Today at a glance."""

import asyncio
from collections.abc import Mapping
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
from domain.permission import NOBODY
from loaders.approvals import pending_approvals
from loaders.days import dashboards, open_exceptions
from loaders.employees import employee_counts, employee_pages
from resolvers.arguments import given, refused, window_of
from resolvers.connections import Connection, connection
from resolvers.context import Context, Info, shown
from resolvers.described import First, Interval, Scope
from resolvers.metrics import SUPPRESSED, Metrics, metrics, of_nobody
from resolvers.ordering import default_order
from resolvers.scope import today_filter
from resolvers.small_groups import in_groups, is_named, is_small, people_in_groups, rows_in_groups
from resolvers.stats import Dimension, StatRow, stat_key, told_apart

EXCEPTION_DAYS: Final = timedelta(days=31)
MOST_LATE: Final = 500
USUAL_INTERVAL_MS: Final = 1_000
INTERVALS_MS: Final = range(100, 3_600_001)


class DashboardToday(msgspec.Struct, frozen=True):
    """The dashboard of a scope at an instant; `named` are the sums of those seen by name, where others are not."""

    as_of: datetime
    found: Today
    filter: DayFilter
    named: Mapping[DepartmentId, Sums] | None = None

    @property
    def in_now(self) -> int:
        """How many are in."""
        return self.found.in_now


async def today(info: Info, scope: Scope = strawberry.UNSET) -> DashboardToday:
    """The present day of everyone whom the viewer may see, each in their own zone."""
    context = info.context
    viewer = context.require_viewer()

    async def heads(filter_: DayFilter) -> int:
        """A day is one employee's, so the days are the heads."""
        found = await context.must(dashboards, TodayKey(filter_))
        return sum(sums.days for _, sums in found.by_department)

    filter_ = await in_groups(viewer, await today_filter(context, scope, context.minute()), heads)
    found = await context.must(dashboards, TodayKey(filter_))
    if is_named(viewer, filter_.reach):
        return DashboardToday(context.as_of(), found, filter_)
    if viewer.identified == NOBODY:
        return DashboardToday(context.as_of(), found, filter_, {})
    named = await context.must(dashboards, TodayKey(msgspec.structs.replace(filter_, reach=viewer.identified)))
    return DashboardToday(context.as_of(), found, filter_, dict(named.by_department))


async def today_changed(
    info: Info, scope: Scope = strawberry.UNSET, min_interval_ms: Interval = USUAL_INTERVAL_MS
) -> DashboardToday:
    """The same as an event of a subscription, which learns here how often it may look."""
    asked_ms = given(min_interval_ms)
    interval_ms = USUAL_INTERVAL_MS if asked_ms is None else asked_ms
    if interval_ms not in INTERVALS_MS:
        first, last = INTERVALS_MS[0], INTERVALS_MS[-1]
        raise refused("minIntervalMs", f"needed milliseconds from {first} to {last:,}, got {interval_ms}")
    info.context.interval = timedelta(milliseconds=interval_ms)
    return await today(info, scope)


def totals(row: strawberry.Parent[DashboardToday], info: Info) -> Metrics:
    """Figures of everyone."""
    total = Sums()
    for _, sums in row.found.by_department:
        total = total + sums
    return SUPPRESSED if of_nobody(info.context, total) else metrics(total, heads=total.days)


async def by_department(row: strawberry.Parent[DashboardToday], info: Info) -> list[StatRow]:
    """Figures by department, by name; those of nobody whom the viewer may count are left out."""
    counted = [(department_id, _counted(row, department_id, sums)) for department_id, sums in row.found.by_department]
    rows = (_department_row(info.context, department_id, sums) for department_id, sums in counted if sums.days)
    named = told_apart(await asyncio.gather(*rows))
    return sorted(named, key=lambda row: (row.keys[0].label, row.keys[0].value))


def _counted(row: DashboardToday, department_id: DepartmentId, sums: Sums) -> Sums:
    if row.named is None:
        return sums
    named = row.named.get(department_id, Sums())
    return named if is_small(sums.days - named.days) else sums


async def _department_row(context: Context, department_id: DepartmentId, sums: Sums) -> StatRow:
    key = await stat_key(context, Dimension.DEPARTMENT, str(department_id))
    return StatRow([key], metrics(sums, heads=sums.days))


async def late_not_in(row: strawberry.Parent[DashboardToday], info: Info) -> list[EmployeeRow]:
    """Who should have come by now, the earliest expected first."""
    people = await asyncio.gather(*(info.context.employee_of_row(id_) for id_ in row.found.late_not_in[:MOST_LATE]))
    return rows_in_groups(info.context.require_viewer(), [person for person in people if person is not None])


async def on_leave(row: strawberry.Parent[DashboardToday], info: Info, first: First = 20) -> Connection[EmployeeRow]:
    """Who is on leave today."""
    context, viewer = info.context, info.context.require_viewer()
    people = await people_in_groups(context, EmployeeFilter(viewer.seen, employee_ids=row.found.on_leave))
    order = default_order(viewer, people.reach)
    window = window_of(order, len(order) + 1, first, None)
    page = await context.must(employee_pages, EmployeePageKey(people, order, window))
    return connection(
        page, window, order, lambda: context.load(employee_counts, people), shown=lambda person: shown(viewer, person)
    )


async def exceptions_open(row: strawberry.Parent[DashboardToday], info: Info) -> int:
    """Days of the last 31 with a missing punch or an unexplained absence that nobody decided about."""
    days = msgspec.structs.replace(row.filter, first=row.filter.last - EXCEPTION_DAYS, today_at=None)
    return await info.context.load(open_exceptions, OpenExceptionsKey(days)) or 0


async def pending(info: Info) -> int:
    """Leave requests that wait for a decision about people whom the viewer manages."""
    return await info.context.load(pending_approvals, info.context.require_viewer().managed) or 0
