"""Instants with the wall clock that people read them by."""

from datetime import datetime

import strawberry

from domain.zoned_time import ZonedTime as ZonedTimeValue
from resolvers.inputs import TimeZone
from schema.node import rows_of


@strawberry.type(description="An instant together with the wall clock of the employee's zone.")
class ZonedTime:
    is_type_of = rows_of(ZonedTimeValue)
    instant: datetime = strawberry.field(description="The instant in UTC.")
    local: str = strawberry.field(description="The wall clock in the zone, to the minute: 2026-03-17T09:03.")
    zone: TimeZone = strawberry.field(description="The zone.")
