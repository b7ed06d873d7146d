"""What the fields of days and of lists of days do."""

from datetime import date
from typing import Any

import strawberry

from db.day_pages import DayPageKey, page_terms
from db.punches import ExplainedStep, ExplainKey
from db.rows import DayRow, DepartmentRow, EmployeeRow, LeaveTypeRow, LocationRow, PunchRow, ShiftRow
from domain.errors import Forbidden
from domain.ids import EmployeeId
from loaders.days import day_by_key, day_counts, pages_of_days
from loaders.departments import department_by_id
from loaders.leave_types import leave_type_by_id
from loaders.locations import location_by_id
from loaders.punches import explained_day, punches_of_day
from loaders.shifts import shift_by_id
from resolvers.arguments import given, id_of, window_of
from resolvers.connections import Connection, connection
from resolvers.context import Context, Info
from resolvers.described import After, AttendanceOrders, Before, Day, Days, First, GlobalId, Last
from resolvers.inputs import AttendanceOrderField
from resolvers.metrics import Metrics, totals_of
from resolvers.ordering import order_of, tells_names
from resolvers.punches import shown_punches
from resolvers.scope import day_filter
from resolvers.small_groups import days_in_groups, refuse_nobody

UNSET = strawberry.UNSET
NAMING = (AttendanceOrderField.EMPLOYEE_NAME, AttendanceOrderField.EMPLOYEE_NO)
LATEST_FIRST = ((AttendanceOrderField.WORK_DATE.value, True),)


async def attendance(
    info: Info,
    filter: Days,
    order_by: AttendanceOrders = UNSET,
    first: First = 50,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
) -> Connection[DayRow]:
    """The days whom the viewer may see."""
    context = info.context
    orders = given(order_by)
    asked, _ = await day_filter(context, filter, tells_names(orders, NAMING))
    days = await days_in_groups(context, asked)
    refuse_nobody(context.require_viewer(), days.reach, "attendance")
    order = order_of(orders) or LATEST_FIRST
    window = window_of(order, len(page_terms(order)), first, after, last, before)
    page = await context.must(pages_of_days, DayPageKey(days, order, window))
    return connection(page, window, order, lambda: context.load(day_counts, days), filter_=days)


async def totals(row: strawberry.Parent[Connection[Any]], info: Info) -> Metrics:
    """Figures of all days of the list, not only of this page."""
    return await totals_of(info.context, row.filter)


async def attendance_day(info: Info, employee_id: GlobalId, date: Day) -> DayRow | None:
    """The day of an employee; null when there is none that the viewer may see."""
    key = id_of(employee_id, "Employee", "employeeId", EmployeeId)
    return await day_if_seen(info.context, key, date)


async def day_if_seen(context: Context, employee_id: EmployeeId, day: date) -> DayRow | None:
    """A day, if the viewer sees its employee by name."""
    if await context.employee(employee_id) is None:
        return None
    return await context.load(day_by_key, (employee_id, day))


async def employee(row: strawberry.Parent[DayRow], info: Info) -> EmployeeRow:
    """Whose day it is."""
    found = await info.context.employee_of_row(row.employee_id)
    if found is None:
        raise Forbidden("the employee of this day is out of reach now")
    return found


async def shift(row: strawberry.Parent[DayRow], info: Info) -> ShiftRow | None:
    """The shift of the day."""
    return None if row.shift_id is None else await info.context.load(shift_by_id, row.shift_id)


async def department(row: strawberry.Parent[DayRow], info: Info) -> DepartmentRow:
    """The department on that date."""
    return await info.context.must(department_by_id, row.department_id)


async def location(row: strawberry.Parent[DayRow], info: Info) -> LocationRow:
    """The location on that date."""
    return await info.context.must(location_by_id, row.location_id)


async def leave_type(row: strawberry.Parent[DayRow], info: Info) -> LeaveTypeRow | None:
    """The kind of leave on that date, which may tell of an illness: not under a pseudonym."""
    if row.leave_type_id is None or not await info.context.names(row.employee_id):
        return None
    return await info.context.load(leave_type_by_id, row.leave_type_id)


async def punches(row: strawberry.Parent[DayRow], info: Info) -> list[PunchRow]:
    """The punches of the day in the order of time, voided ones as well."""
    return await shown_punches(info.context, row.employee_id, (await info.context.must(punches_of_day, row.key)).of_day)


async def unattributed(row: strawberry.Parent[DayRow], info: Info) -> list[PunchRow]:
    """The punches of the date that belong to no day."""
    found = await info.context.must(punches_of_day, row.key)
    return await shown_punches(info.context, row.employee_id, found.of_no_day)


async def explain(row: strawberry.Parent[DayRow], info: Info) -> list[ExplainedStep]:
    """The steps behind every number, as they come out at this moment; none under a pseudonym."""
    if not await info.context.names(row.employee_id):
        return []
    info.context.now()
    return list(await info.context.must(explained_day, ExplainKey(row.key, info.context.minute())))
