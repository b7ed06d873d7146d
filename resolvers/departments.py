"""What the fields of departments do."""

import msgspec
import strawberry

from db.day_filter import DayFilter
from db.rows import DepartmentRow, EmployeeRow
from db.stats import DepartmentStatKey, HeadcountKey
from loaders.days import stats_of_department
from loaders.departments import ALL, all_departments, children_by_department, department_by_id, department_tree
from resolvers.arguments import period_of
from resolvers.below import employees_below
from resolvers.connections import Connection
from resolvers.context import Info
from resolvers.described import After, First, Period, RootsOnly
from resolvers.metrics import SUPPRESSED, Metrics, metrics, of_nobody
from resolvers.small_groups import days_in_groups


async def departments(info: Info, roots_only: RootsOnly = False) -> list[DepartmentRow]:
    """All departments by name, or only those without a parent."""
    info.context.require_viewer()
    rows = await info.context.must(all_departments, ALL)
    return [row for row in rows if row.parent_id is None or not roots_only]


async def parent(row: strawberry.Parent[DepartmentRow], info: Info) -> DepartmentRow | None:
    """The department right above."""
    return None if row.parent_id is None else await info.context.load(department_by_id, row.parent_id)


async def children(row: strawberry.Parent[DepartmentRow], info: Info) -> list[DepartmentRow]:
    """The departments right below."""
    return list(await info.context.must(children_by_department, row.id))


async def manager(row: strawberry.Parent[DepartmentRow], info: Info) -> EmployeeRow | None:
    """Who manages the department, if the viewer may see them."""
    return None if row.manager_id is None else await info.context.employee(row.manager_id)


async def employees(
    row: strawberry.Parent[DepartmentRow], info: Info, first: First = 50, after: After = strawberry.UNSET
) -> Connection[EmployeeRow]:
    """Who belongs to the department itself today."""
    return await employees_below(info.context, "department", row.id, info.context.require_viewer().seen, first, after)


async def stats(row: strawberry.Parent[DepartmentRow], info: Info, period: Period) -> Metrics:
    """Figures of the department and all below it, by the department of each day."""
    context = info.context
    dates = await period_of(context, period, "period")
    tree = await context.must(department_tree, ALL)
    members = tree.subtrees([row.id])
    days = DayFilter(context.require_viewer().seen, dates.first, dates.last, department_ids=members)
    days = await days_in_groups(context, days)
    key = DepartmentStatKey(row.id, members, msgspec.structs.replace(days, department_ids=None))
    sums = await context.must(stats_of_department, key)
    return SUPPRESSED if of_nobody(context, sums) else metrics(sums, counted=HeadcountKey(days))
