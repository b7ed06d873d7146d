"""Lookups of kinds of leave."""

from cache.policy import Policy
from db import leave_types, tags
from db.rows import LeaveTypeRow
from loaders.batch import Batch

leave_type_by_id = Batch(
    leave_types.leave_types_by_id,
    Policy("leave_type", LeaveTypeRow, "organisation", lambda _: (tags.LEAVE_TYPE_ANY(),)),
)
all_leave_types = Batch(
    leave_types.all_leave_types,
    Policy("leave_types", tuple[LeaveTypeRow, ...], "organisation", lambda _: (tags.LEAVE_TYPE_ANY(),)),
    absent=(),
)
