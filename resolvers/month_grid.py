"""A month as a grid: an employee a row, a day a column."""

import asyncio
from datetime import date, timedelta
from typing import Final

import msgspec
import strawberry

from db.day_pages import DaysOfEmployeeKey
from db.employees import EmployeeFilter, EmployeePageKey
from db.rows import DayRow, EmployeeRow
from domain.enums import DayStatus
from domain.errors import BadUserInput
from domain.periods import ONE_DAY, plus_months
from loaders.days import days_of_employee
from loaders.employees import employee_counts, employee_pages
from resolvers.arguments import window_of
from resolvers.connections import PageInfo, connection
from resolvers.context import Context, Info, shown
from resolvers.described import After, First, Month, Scope, Year
from resolvers.inputs import OrgScope
from resolvers.locations import check_year
from resolvers.metrics import Metrics, metrics_of_employee
from resolvers.ordering import default_order
from resolvers.scope import reach_of, scope_of
from resolvers.small_groups import people_in_groups, refuse_nobody

CODE_BY_STATUS: Final = {
    DayStatus.PRESENT: "P",
    DayStatus.ABSENT: "A",
    DayStatus.ON_LEAVE: "L",
    DayStatus.HOLIDAY: "H",
    DayStatus.WEEKLY_OFF: "W",
    DayStatus.HALF_DAY: "HD",
    DayStatus.INCOMPLETE: "MIS",
    DayStatus.PENDING: "PEND",
}
NO_DAY: Final = "-"


class MonthGridRow(msgspec.Struct, frozen=True):
    """An employee's month: one code a day, and the figures."""

    employee: EmployeeRow
    codes: list[str]
    totals: Metrics


class MonthGrid(msgspec.Struct, frozen=True):
    """A page of the grid."""

    year: int
    month: int
    days: list[date]
    rows: list[MonthGridRow]
    page_info: PageInfo


async def month_grid(
    info: Info,
    year: Year,
    month: Month,
    scope: Scope = strawberry.UNSET,
    first: First = 100,
    after: After = strawberry.UNSET,
) -> MonthGrid:
    """The month of the employees in scope who were employed in it, by name."""
    context, viewer = info.context, info.context.require_viewer()
    check_year(year)
    if not 1 <= month <= 12:
        raise BadUserInput(f"month: needed a number from 1 to 12, got {month}")
    begin = date(year, month, 1)
    end = plus_months(begin, 1) - ONE_DAY
    people = await _people(context, scope, begin, end)
    refuse_nobody(viewer, people.reach, "monthGrid")
    order = default_order(viewer, people.reach)
    window = window_of(order, len(order) + 1, first, after)
    page = await context.must(employee_pages, EmployeePageKey(people, order, window))
    chosen = connection(
        page, window, order, lambda: context.load(employee_counts, people), shown=lambda row: shown(viewer, row)
    )
    rows = await asyncio.gather(*(_row(context, person, begin, end) for person in chosen.nodes))
    days = [begin + timedelta(days=number) for number in range((end - begin).days + 1)]
    return MonthGrid(year, month, days, list(rows), chosen.page_info)


async def _people(context: Context, scope: OrgScope | None, begin: date, end: date) -> EmployeeFilter:
    found = await scope_of(context, scope, "scope")
    people = EmployeeFilter(
        reach=reach_of(context.require_viewer(), found.picks_people),
        **msgspec.structs.asdict(found),
        on_date=None if found.shift_ids is None else end,
        employed_from=begin,
        employed_to=end,
    )
    return await people_in_groups(context, people)


async def _row(context: Context, person: EmployeeRow, begin: date, end: date) -> MonthGridRow:
    days = await context.must(days_of_employee, DaysOfEmployeeKey(person.id, begin, end))
    by_date = {day.work_date: day for day in days}
    length = (end - begin).days + 1
    codes = [_code(by_date.get(begin + timedelta(days=number))) for number in range(length)]
    return MonthGridRow(person, codes, await metrics_of_employee(context, person, begin, end))


def _code(day: DayRow | None) -> str:
    return NO_DAY if day is None else CODE_BY_STATUS[day.status]
