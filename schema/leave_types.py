"""Kinds of leave as the API shows them."""

import strawberry

from db.rows import LeaveTypeRow
from schema.node import Node, rows_of


@strawberry.type(description="A kind of leave.")
class LeaveType(Node):
    is_type_of = rows_of(LeaveTypeRow)
    code: str = strawberry.field(description="A short code, unique in any case.")
    name: str = strawberry.field(description="What it is called.")
    paid: bool = strawberry.field(description="Whether it is paid.")
    allow_half_day: bool = strawberry.field(description="Whether half a day can be taken.")
