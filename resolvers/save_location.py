"""Making and changing locations; another zone holds from today, and days before keep theirs."""

from datetime import date
from typing import Annotated, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.days import derive_days
from db.known_days import BESIDE
from db.location_writes import end_zone, insert_location, knows_zone, location_for_update, posted_at, update_location
from db.rows import LocationRow
from domain.attendance.work_days import zone
from domain.ids import LocationId
from domain.periods import ONE_DAY
from loaders.locations import all_locations, location_by_id
from resolvers.arguments import given
from resolvers.changes import UserErrorValue, changed, invalid
from resolvers.context import Context, Info
from resolvers.inputs import ID, TimeZone
from resolvers.organising import LONGEST_CODE, Saved, code_taken, kept_text, require_organiser, standing

NEW = LocationRow(LocationId(0), "", "", "", 0, None, None, None, 0)


@strawberry.input(
    description="A location to make or, with an id, to change. Fields left out stay as they are. "
    "A new one gets the first work week of the installation."
)
class LocationInput:
    id: ID | None = strawberry.field(default=UNSET, description="Which one to change; a new one without.")
    code: str | None = strawberry.field(default=UNSET, description="A short code, unique in any case.")
    name: str | None = strawberry.field(default=UNSET, description="What it is called.")
    time_zone: TimeZone | None = strawberry.field(
        default=UNSET,
        description="The zone of its wall clock. Another one holds from its own present date on: that day is derived "
        "again, and days before keep the zone that they have.",
    )
    expected_version: int | None = strawberry.field(
        default=UNSET, description="The version that was looked at: another one is a conflict."
    )


LocationToSave: TypeAlias = Annotated[LocationInput, strawberry.argument(description="The location.")]


class LocationPayload(msgspec.Struct, frozen=True):
    """The location as it is now, or what was wrong."""

    location: LocationRow | None
    user_errors: list[UserErrorValue]


async def save_location(info: Info, input: LocationToSave) -> LocationPayload:
    """Make or change a location."""
    context = info.context
    saved, problems = await changed(
        context,
        lambda connection: _save(context, connection, input),
        {"location_code_key": code_taken(context, input.code, "location", all_locations)},
    )
    row = None if saved is None else await context.must(location_by_id, LocationId(saved.id))
    return LocationPayload(row, problems)


async def _save(context: Context, connection: WriteConnection, input: LocationInput) -> Saved:
    require_organiser(context)
    old = await standing(connection, input, "Location", location_for_update)
    base = old or NEW
    row = msgspec.structs.replace(
        base,
        code=kept_text(input.code, "input.code", base.code, LONGEST_CODE),
        name=kept_text(input.name, "input.name", base.name),
        time_zone=await _zone(connection, input, base),
    )
    if old is None:
        return Saved(await insert_location(connection, row))
    if row.time_zone != old.time_zone:
        await end_zone(connection, row.id, _today(context, row) - ONE_DAY)
    if row != old:
        await update_location(connection, row)
    if row.time_zone != old.time_zone:
        await _derive_today(context, connection, old, row)
    return Saved(row.id)


async def _zone(connection: WriteConnection, input: LocationInput, base: LocationRow) -> str:
    if input.time_zone is UNSET and base.time_zone:
        return base.time_zone
    name = given(input.time_zone)
    if name is None:
        raise invalid("input.timeZone", "needed an IANA time zone like Asia/Kolkata, got none")
    if not await knows_zone(connection, name):
        raise invalid("input.timeZone", f"needed an IANA time zone that the database knows as well, got {name!r}")
    return name


async def _derive_today(context: Context, connection: WriteConnection, old: LocationRow, new: LocationRow) -> None:
    """Derive today again: by the old zone or by the new one, since the same instant may have two dates.

    The days beside are derived as well: where the windows of today move, punches change sides.
    """
    first, last = sorted(_today(context, row) for row in (old, new))
    employees = await posted_at(connection, new.id, first - BESIDE, last)
    await derive_days(connection, employees, first, last, context.now(), beside=True)


def _today(context: Context, row: LocationRow) -> date:
    return context.now().astimezone(zone(row.time_zone)).date()
