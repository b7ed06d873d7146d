"""Figures of a set of days as the API shows them; the headcount is looked up only when it is asked for."""

from collections.abc import Iterable
from datetime import date

import msgspec
import strawberry

from db.day_filter import DayFilter
from db.day_pages import DaysOfEmployeeKey
from db.rows import DayRow, EmployeeRow
from db.stats import GroupKeys, HeadcountKey, StatKey
from domain.attendance.metrics import Sums
from domain.attendance.work_days import zone
from domain.enums import DayStatus, WorkMode
from loaders.days import days_of_employee, headcounts, stat_groups
from resolvers.context import Context, Info


class Metrics(Sums, frozen=True):
    """Sums with the headcount, or with where to look it up; `suppressed` figures are kept back and all zero."""

    heads: int | None = None
    counted: HeadcountKey | None = None
    group: GroupKeys = ()
    suppressed: bool = False


def metrics(
    sums: Sums, *, heads: int | None = None, counted: HeadcountKey | None = None, group: GroupKeys = ()
) -> Metrics:
    """Sums as figures."""
    return Metrics(**msgspec.structs.asdict(sums), heads=heads, counted=counted, group=group)


SUPPRESSED = Metrics(heads=0, suppressed=True)


async def headcount(row: strawberry.Parent[Metrics], info: Info) -> int:
    """Distinct employees."""
    return await heads_of(info.context, row)


async def heads_of(context: Context, row: Metrics) -> int:
    """Distinct employees behind figures."""
    if row.heads is not None:
        return row.heads
    assert row.counted is not None
    for found in await context.load(headcounts, row.counted) or ():
        if found.keys == row.group:
            return found.employees
    return 0


def of_nobody(context: Context, sums: Sums) -> bool:
    """Whether figures have to be shown as kept back: of a selection that in_groups has left nobody of."""
    return not sums.days and context.require_viewer().needs_groups


async def totals_of(context: Context, filter_: DayFilter) -> Metrics:
    """The figures of all days of a filter that went through in_groups."""
    groups = await context.must(stat_groups, StatKey(filter_, limit=1))
    sums = groups.groups[0].sums if groups.groups else Sums()
    return SUPPRESSED if of_nobody(context, sums) else metrics(sums, counted=HeadcountKey(filter_))


async def metrics_of_employee(context: Context, employee: EmployeeRow, first: date, last: date) -> Metrics:
    """The figures of one employee, which are kept back under a pseudonym."""
    if not context.require_viewer().identified.covers(employee):
        return SUPPRESSED
    return metrics_of_days(await context.must(days_of_employee, DaysOfEmployeeKey(employee.id, first, last)))


def metrics_of_days(days: Iterable[DayRow]) -> Metrics:
    """The figures of days of one employee, summed up here; equal to what the database would sum."""
    total = Sums()
    for day in days:
        total = total + sums_of(day)
    return metrics(total, heads=min(1, total.days))


def sums_of(day: DayRow) -> Sums:
    """One day as sums."""
    first_in = 0
    if day.first_in is not None:
        local = day.first_in.astimezone(zone(day.time_zone))
        first_in = (local.date() - day.work_date).days * 1440 + local.hour * 60 + local.minute
    return Sums(
        days=1,
        pending_count=int(day.status is DayStatus.PENDING),
        present_halves=day.present_halves,
        punctual_halves=0 if day.late_minutes else day.present_halves,
        leave_halves=day.leave_halves,
        absent_halves=day.absent_halves,
        off_halves=day.off_halves,
        late_count=int(day.late_minutes > 0),
        early_exit_count=int(day.early_exit_minutes > 0),
        incomplete_count=int(day.status is DayStatus.INCOMPLETE),
        remote_count=int(day.work_mode is WorkMode.REMOTE),
        expected_minutes=day.expected_minutes,
        worked_minutes=day.worked_minutes,
        late_minutes=day.late_minutes,
        overtime_minutes=day.overtime_minutes,
        overtime_approved_minutes=day.overtime_approved_minutes,
        first_in_count=int(day.first_in is not None),
        first_in_minutes=first_in,
    )
