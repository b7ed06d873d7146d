"""What the fields of employees do."""

from datetime import UTC, datetime, time

import msgspec
import strawberry

from db.dashboard import PresenceKey
from db.day_pages import DaysOfEmployeeKey
from db.employees import EmployeeFilter as EmployeeRows
from db.employees import EmployeePageKey
from db.punches import PlanRow, PunchesKey, PunchKey, ScheduleKey
from db.rows import DayRow, DepartmentRow, EmployeeRow, LocationRow, PunchRow, ShiftRow
from domain.attendance.work_days import zone
from domain.enums import PresenceState
from domain.errors import BadUserInput
from domain.ids import EmployeeId
from domain.periods import ONE_DAY
from domain.zoned_time import ZonedTime, zoned
from loaders.days import days_of_employee, presences
from loaders.departments import department_by_id
from loaders.employees import employee_by_no, employee_counts, employee_pages
from loaders.locations import location_by_id
from loaders.punches import date_of_punch, punches_of_employee
from loaders.punches import schedule as schedule_batch
from loaders.shifts import shift_by_id
from resolvers.arguments import given, id_of, period_of, sought, window_of
from resolvers.below import employees_below
from resolvers.connections import Connection, connection
from resolvers.context import Info, shown
from resolvers.described import After, Before, EmployeeNo, EmployeeOrders, First, Last, MaybeId, OfNoDay, People, Period
from resolvers.inputs import EmployeeOrderField
from resolvers.metrics import Metrics, metrics_of_employee
from resolvers.ordering import default_order, order_of, tells_names
from resolvers.punches import shown_punches
from resolvers.scope import employee_filter
from resolvers.small_groups import people_in_groups, refuse_nobody

MOST_DAYS_NESTED = 400
NAMING = (EmployeeOrderField.NAME, EmployeeOrderField.EMPLOYEE_NO, EmployeeOrderField.HIRED_ON)
UNSET = strawberry.UNSET


class Presence(msgspec.Struct, frozen=True):
    """Where an employee is, and since when."""

    state: PresenceState
    since: ZonedTime | None = None


async def employee(info: Info, id: MaybeId = UNSET, employee_no: EmployeeNo = UNSET) -> EmployeeRow | None:
    """An employee by exactly one of id and number; null when there is none whom the viewer may see."""
    context, viewer = info.context, info.context.require_viewer()
    id_, number = given(id), given(employee_no)
    if (id_ is None) == (number is None):
        raise BadUserInput("employee: needed exactly one of id and employeeNo")
    if id_ is not None:
        return await context.employee(id_of(id_, "Employee", "id", EmployeeId))
    row = await context.load(employee_by_no, (sought(number, "employeeNo") or "").lower())
    return row if row is not None and viewer.identified.covers(row) else None


async def employees(
    info: Info,
    filter: People = UNSET,
    order_by: EmployeeOrders = UNSET,
    first: First = 50,
    after: After = UNSET,
    last: Last = UNSET,
    before: Before = UNSET,
) -> Connection[EmployeeRow]:
    """The employees whom the viewer may see."""
    context, viewer = info.context, info.context.require_viewer()
    orders = given(order_by)
    asked = await employee_filter(context, filter, tells_names(orders, NAMING))

    def key_of(rows: EmployeeRows) -> EmployeePageKey:
        order = order_of(orders) or default_order(viewer, rows.reach)
        return EmployeePageKey(rows, order, window_of(order, len(order) + 1, first, after, last, before))

    async def on_page() -> int:
        return len((await context.must(employee_pages, key_of(asked))).edges)

    rows = await people_in_groups(context, asked, on_page)
    refuse_nobody(viewer, rows.reach, "employees")
    key = key_of(rows)
    page, order, window = await context.must(employee_pages, key), key.order, key.window
    return connection(
        page, window, order, lambda: context.load(employee_counts, rows), shown=lambda row: shown(viewer, row)
    )


async def department(row: strawberry.Parent[EmployeeRow], info: Info) -> DepartmentRow:
    """Today's department."""
    return await info.context.must(department_by_id, row.department_id)


async def location(row: strawberry.Parent[EmployeeRow], info: Info) -> LocationRow:
    """Today's location."""
    return await info.context.must(location_by_id, row.location_id)


async def manager(row: strawberry.Parent[EmployeeRow], info: Info) -> EmployeeRow | None:
    """Today's manager, if the viewer sees them by name."""
    return None if row.manager_id is None else await info.context.employee(row.manager_id)


async def shift(row: strawberry.Parent[EmployeeRow], info: Info) -> ShiftRow | None:
    """The default shift."""
    return None if row.default_shift_id is None else await info.context.load(shift_by_id, row.default_shift_id)


async def reports(
    row: strawberry.Parent[EmployeeRow], info: Info, first: First = 50, after: After = UNSET
) -> Connection[EmployeeRow]:
    """Who reports to the employee today; those of a pseudonym as if one had asked by its id."""
    viewer = info.context.require_viewer()
    reach = viewer.seen if viewer.identified.covers(row) else viewer.identified
    return await employees_below(info.context, "manager", row.id, reach, first, after)


async def attendance(row: strawberry.Parent[EmployeeRow], info: Info, period: Period) -> list[DayRow]:
    """The employee's days, the latest first."""
    dates = await period_of(info.context, period, "period", MOST_DAYS_NESTED)
    return list(await info.context.must(days_of_employee, DaysOfEmployeeKey(row.id, dates.first, dates.last)))


async def summary(row: strawberry.Parent[EmployeeRow], info: Info, period: Period) -> Metrics:
    """Figures of the employee's days."""
    dates = await period_of(info.context, period, "period", MOST_DAYS_NESTED)
    return await metrics_of_employee(info.context, row, dates.first, dates.last)


async def schedule(row: strawberry.Parent[EmployeeRow], info: Info, period: Period) -> list[PlanRow]:
    """The employee's plans by date, future ones as well."""
    dates = await period_of(info.context, period, "period", MOST_DAYS_NESTED)
    return list(await info.context.must(schedule_batch, ScheduleKey(row.id, dates.first, dates.last)))


async def punches(
    row: strawberry.Parent[EmployeeRow], info: Info, period: Period, unattributed: OfNoDay = False
) -> list[PunchRow]:
    """The employee's punches, the latest first."""
    context = info.context
    dates = await period_of(context, period, "period", MOST_DAYS_NESTED)
    since, until = (datetime.combine(day, time(), zone(row.time_zone)) for day in (dates.first, dates.last + ONE_DAY))
    found = await context.must(punches_of_employee, PunchesKey(row.id, since.astimezone(UTC), until.astimezone(UTC)))
    if given(unattributed):
        counting = [punch for punch in found if not punch.voided]
        keys = [PunchKey(punch.id, punch.employee_id, punch.punched_at) for punch in counting]
        days = await context.load_many(date_of_punch, keys)
        found = tuple(punch for punch, day in zip(counting, days, strict=True) if day is None)
    return await shown_punches(context, row.id, found[::-1])


async def presence(row: strawberry.Parent[EmployeeRow], info: Info) -> Presence:
    """Where the employee is now, as far as punches and plans say."""
    facts = await info.context.load(presences, PresenceKey(row.id, info.context.minute()))
    if facts is None:
        return Presence(PresenceState.NOT_EXPECTED)
    if facts.presence is not None:
        return Presence(PresenceState(facts.presence), zoned(facts.presence_since, facts.time_zone))
    if facts.away:
        return Presence(PresenceState.ON_LEAVE)
    return Presence(PresenceState.LATE_NOT_IN if facts.late_not_in else PresenceState.NOT_EXPECTED)


async def plan_shift(row: strawberry.Parent[PlanRow], info: Info) -> ShiftRow | None:
    """The shift of the date."""
    return None if row.shift_id is None else await info.context.load(shift_by_id, row.shift_id)


def plan_starts_at(row: strawberry.Parent[PlanRow]) -> ZonedTime | None:
    """When work begins."""
    return zoned(row.starts_at, row.time_zone)


def plan_ends_at(row: strawberry.Parent[PlanRow]) -> ZonedTime | None:
    """When work ends."""
    return zoned(row.ends_at, row.time_zone)


def plan_origin(row: strawberry.Parent[PlanRow]) -> str:
    """Where the shift comes from."""
    return "NONE" if row.origin is None else row.origin.value
