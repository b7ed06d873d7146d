"""What the fields of punches do."""

from collections.abc import Sequence

import strawberry
from msgspec.structs import replace

from db.punches import PunchKey
from db.rows import DayRow, EmployeeRow, PunchRow
from domain.errors import Forbidden
from domain.ids import EmployeeId
from domain.zoned_time import ZonedTime
from loaders.days import day_by_key
from loaders.devices import device_by_id
from loaders.employees import employee_by_id
from loaders.punches import date_of_punch
from resolvers.context import Context, Info


async def employee(row: strawberry.Parent[PunchRow], info: Info) -> EmployeeRow:
    """Who punched."""
    found = await info.context.employee_of_row(row.employee_id)
    if found is None:
        raise Forbidden("the employee of this punch is out of reach now")
    return found


async def at(row: strawberry.Parent[PunchRow], info: Info) -> ZonedTime:
    """When, by the employee's wall clock."""
    found = await info.context.must(employee_by_id, row.employee_id)
    return ZonedTime(row.punched_at, found.time_zone)


async def device(row: strawberry.Parent[PunchRow], info: Info) -> str | None:
    """The code of the punch clock."""
    if row.device_id is None:
        return None
    found = await info.context.load(device_by_id, row.device_id)
    return found.code if found else None


async def day(row: strawberry.Parent[PunchRow], info: Info) -> DayRow | None:
    """The day that the rules give it to."""
    if row.voided:
        return None
    key = PunchKey(row.id, row.employee_id, row.punched_at)
    work_date = await info.context.load(date_of_punch, key)
    return None if work_date is None else await info.context.load(day_by_key, (row.employee_id, work_date))


async def shown_punches(context: Context, employee_id: EmployeeId, rows: Sequence[PunchRow]) -> list[PunchRow]:
    """Punches of an employee as the viewer may see them."""
    return [*rows] if await context.names(employee_id) else [_pseudonymous(row) for row in rows]


def _pseudonymous(row: PunchRow) -> PunchRow:
    """A punch without what somebody wrote, and without the clock, which stands where one works."""
    return replace(row, note=None, device_id=None, void_reason=None)
