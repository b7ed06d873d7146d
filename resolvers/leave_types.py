"""What the fields of kinds of leave do."""

from db.rows import LeaveTypeRow
from loaders.departments import ALL
from loaders.leave_types import all_leave_types
from resolvers.context import Info


async def leave_types(info: Info) -> list[LeaveTypeRow]:
    """All kinds of leave by name."""
    info.context.require_viewer()
    return list(await info.context.must(all_leave_types, ALL))
