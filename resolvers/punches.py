"""What the fields of punches do."""

import strawberry
from msgspec.structs import replace

from db.rows import EmployeeRow, PunchRow
from domain.errors import Forbidden
from domain.zoned_time import ZonedTime
from loaders.devices import device_by_id
from loaders.employees import employee_by_id
from resolvers.context import Info


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


def pseudonymous(row: PunchRow) -> PunchRow:
    """A punch without what somebody wrote, and without the clock, which stands where one works."""
    return replace(row, note=None, device_id=None, void_reason=None)
