"""The one rule about people whom a viewer sees under a pseudonym only: they count in fives and more, or not at all.

A selection that holds fewer of them is answered from those whom the viewer sees by name, as if the others were out of
reach, so that nobody and four look alike. db/stats.py says the same of each group of a statistic.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from db.day_filter import DayFilter
from db.employees import EmployeeFilter, EmployeesBelowKey
from db.rows import EmployeeRow
from db.stats import HeadcountKey
from domain.errors import Forbidden
from domain.permission import MIN_GROUP_SIZE, NOBODY, Reach, Viewer
from loaders.days import headcounts
from loaders.employees import counts_below, employee_counts
from resolvers.context import Context

Asked = TypeVar("Asked", DayFilter, EmployeeFilter, EmployeesBelowKey)


async def in_groups(viewer: Viewer, asked: Asked, heads: Callable[[Asked], Awaitable[int]]) -> Asked:
    """What the viewer is answered from: all who are asked about, or only those seen by name."""
    if is_named(viewer, asked.reach):
        return asked
    named = msgspec.structs.replace(asked, reach=viewer.identified)
    known = 0 if viewer.identified == NOBODY else await heads(named)
    return named if is_small(await heads(asked) - known) else asked


async def days_in_groups(context: Context, days: DayFilter) -> DayFilter:
    """Days of people whose figures and rows the viewer may see."""

    async def heads(filter_: DayFilter) -> int:
        found = await context.load(headcounts, HeadcountKey(filter_)) or ()
        return found[0].employees if found else 0

    return await in_groups(context.require_viewer(), days, heads)


async def people_in_groups(
    context: Context, people: EmployeeFilter, on_page: Callable[[], Awaitable[int]] | None = None
) -> EmployeeFilter:
    """Employees whose rows the viewer may see and count; a group that is `on_page` already need not be counted."""
    viewer = context.require_viewer()

    async def heads(filter_: EmployeeFilter) -> int:
        return await context.load(employee_counts, filter_) or 0

    nobody_named = viewer.needs_groups and viewer.identified == NOBODY
    if on_page is not None and nobody_named and people.reach != NOBODY and not is_small(await on_page()):
        return people
    return await in_groups(viewer, people, heads)


async def below_in_groups(context: Context, key: EmployeesBelowKey) -> EmployeesBelowKey:
    """Employees below a department or a manager whose rows the viewer may see and count."""

    async def heads(key: EmployeesBelowKey) -> int:
        return await context.load(counts_below, key) or 0

    return await in_groups(context.require_viewer(), key, heads)


def rows_in_groups(viewer: Viewer, rows: Sequence[EmployeeRow]) -> list[EmployeeRow]:
    """The rows of a list, without those under a pseudonym where they are too few."""
    named = [row for row in rows if viewer.identified.covers(row)]
    return named if is_small(len(rows) - len(named)) else list(rows)


def is_small(people: int) -> bool:
    """Whether so few people could be told apart; nobody counts as few, or four would show."""
    return people < MIN_GROUP_SIZE


def is_named(viewer: Viewer, reach: Reach) -> bool:
    """Whether everybody within `reach` is seen by name."""
    return not viewer.needs_groups or reach == viewer.identified


def refuse_nobody(viewer: Viewer, reach: Reach, where: str) -> None:
    """Refuse a list of which nobody is left, rather than show an empty one that looks like an answer."""
    if viewer.needs_groups and reach == NOBODY:
        raise Forbidden(
            f"{where}: needed a selection of at least {MIN_GROUP_SIZE} employees for an analyst,"
            " who finds nobody by name, number, id or manager"
        )
