"""Locations and holidays as the API shows them."""

from datetime import date as Date

import strawberry

from db.rows import HolidayRow, LocationRow
from domain.enums import HalfOfDay
from resolvers import locations as resolve
from resolvers.inputs import TimeZone
from schema.node import Node, rows_of


@strawberry.type(description="A holiday of a location.")
class Holiday:
    is_type_of = rows_of(HolidayRow)
    date: Date = strawberry.field(description="The date.")
    name: str = strawberry.field(description="What is celebrated.")
    half: HalfOfDay | None = strawberry.field(description="The half that is off; null is the whole day.")
    optional: bool = strawberry.field(description="Whether it is no day off by itself, but may be taken.")


@strawberry.type(description="A place of work with its zone, its work week and its holidays.")
class Location(Node):
    is_type_of = rows_of(LocationRow)
    code: str = strawberry.field(description="A short code, unique in any case.")
    name: str = strawberry.field(description="What it is called.")
    time_zone: TimeZone = strawberry.field(description="The zone of its wall clock.")
    version: int = strawberry.field(description="Rises with every change; for `expectedVersion`.")
    holidays = strawberry.field(
        resolver=resolve.holidays, graphql_type=list[Holiday], description="The holidays of a year, by date."
    )
