"""Any object by its global id; null for what does not exist or is out of the viewer's reach."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from db.rows import NodeRow
from domain.errors import BadUserInput, InvalidId
from domain.ids import (
    DepartmentId,
    EmployeeId,
    LeaveTypeId,
    LocationId,
    PunchId,
    ShiftId,
    UserId,
    decode_day_id,
    decode_id,
    decode_int_id,
)
from loaders.departments import department_by_id
from loaders.leave_types import leave_type_by_id
from loaders.locations import location_by_id
from loaders.punches import punch_by_id
from loaders.shifts import shift_by_id
from resolvers.context import Context, Info
from resolvers.days import day_if_seen
from resolvers.described import GlobalId, GlobalIds
from resolvers.users import user_if_seen

MOST_NODES: Final = 200


async def node(info: Info, id: GlobalId) -> NodeRow | None:
    """One object."""
    info.context.require_viewer()
    return await _node(info.context, id, "id")


async def nodes(info: Info, ids: GlobalIds) -> list[NodeRow | None]:
    """Many objects, in the order of their ids."""
    info.context.require_viewer()
    if len(ids) > MOST_NODES:
        raise BadUserInput(f"ids: needed at most {MOST_NODES} ids, got {len(ids)}")
    return list(await asyncio.gather(*(_node(info.context, text, f"ids[{index}]") for index, text in enumerate(ids))))


async def _node(context: Context, text: str, where: str) -> NodeRow | None:
    try:
        look_up = LOOK_UP_BY_TYPE.get(decode_id(text).type_name)
        if look_up is None:
            raise InvalidId(text, f"the id of one of {', '.join(LOOK_UP_BY_TYPE)}")
        return await look_up(context, text)
    except InvalidId as error:
        raise BadUserInput(f"{where}: {error.message}") from None


async def _department(context: Context, text: str) -> NodeRow | None:
    return await context.load(department_by_id, DepartmentId(decode_int_id(text, "Department")))


async def _location(context: Context, text: str) -> NodeRow | None:
    return await context.load(location_by_id, LocationId(decode_int_id(text, "Location")))


async def _shift(context: Context, text: str) -> NodeRow | None:
    return await context.load(shift_by_id, ShiftId(decode_int_id(text, "Shift")))


async def _leave_type(context: Context, text: str) -> NodeRow | None:
    return await context.load(leave_type_by_id, LeaveTypeId(decode_int_id(text, "LeaveType")))


async def _employee(context: Context, text: str) -> NodeRow | None:
    return await context.employee(EmployeeId(decode_int_id(text, "Employee")))


async def _user(context: Context, text: str) -> NodeRow | None:
    return await user_if_seen(context, UserId(decode_int_id(text, "User")))


async def _punch(context: Context, text: str) -> NodeRow | None:
    row = await context.load(punch_by_id, PunchId(decode_int_id(text, "Punch")))
    return row if row is not None and await context.employee(row.employee_id) is not None else None


async def _day(context: Context, text: str) -> NodeRow | None:
    employee_id, day = decode_day_id(text)
    return await day_if_seen(context, employee_id, day)


LOOK_UP_BY_TYPE: Final[Mapping[str, Callable[[Context, str], Awaitable[NodeRow | None]]]] = {
    "Employee": _employee,
    "AttendanceDay": _day,
    "Department": _department,
    "Location": _location,
    "Shift": _shift,
    "LeaveType": _leave_type,
    "Punch": _punch,
    "User": _user,
}
