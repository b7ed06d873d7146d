"""Punches as the API shows them."""

from typing import TYPE_CHECKING, Annotated

import strawberry

from db.rows import PunchRow
from domain.enums import PunchDirection, PunchSource
from resolvers import punches as resolve
from schema.employees import Employee
from schema.node import Node, rows_of
from schema.zoned_time import ZonedTime

if TYPE_CHECKING:
    from schema.days import AttendanceDay


@strawberry.type(description="A punch as it was made; a wrong one is voided, never changed.")
class Punch(Node):
    is_type_of = rows_of(PunchRow)
    employee = strawberry.field(resolver=resolve.employee, graphql_type=Employee, description="Who punched.")
    day = strawberry.field(
        resolver=resolve.day,
        graphql_type=Annotated["AttendanceDay", strawberry.lazy("schema.days")] | None,
        description="The day that it belongs to; null when it is in no window of any shift, and when it is voided.",
    )
    at = strawberry.field(resolver=resolve.at, graphql_type=ZonedTime, description="When.")
    direction: PunchDirection = strawberry.field(description="Which way.")
    source: PunchSource = strawberry.field(description="Where it comes from.")
    device = strawberry.field(
        resolver=resolve.device, description="The code of the punch clock; null without one and under a pseudonym."
    )
    note: str | None = strawberry.field(description="What the employee wrote; null under a pseudonym.")
    outside_geofence: bool = strawberry.field(description="Whether it was made outside the fence of the location.")
    voided: bool = strawberry.field(description="Whether it no longer counts.")
    void_reason: str | None = strawberry.field(description="Why not; null under a pseudonym.")
