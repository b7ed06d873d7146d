"""Holidays of a location: entering and removing one changes the days of the employees who belong there on that date."""

from datetime import date as Date
from datetime import timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.days import derive_days
from db.location_writes import location_for_update, posted_at, remove_holiday, save_holiday
from db.locations import holiday_on
from db.rows import HolidayRow
from domain.enums import HalfOfDay, Role
from domain.ids import LocationId
from loaders.locations import holidays_of_year
from resolvers.arguments import EARLIEST, LATEST, id_of
from resolvers.changes import UserErrorValue, changed, forbidden, invalid, not_found, text_of
from resolvers.context import Context, Info
from resolvers.inputs import ID

AHEAD: Final = timedelta(hours=14)
"""How far the first zone of the earth is ahead of UTC."""


@strawberry.input(
    description="A holiday to enter, or to change when the location has one on that date: then a half that is left out "
    "stays as it is, and null is the whole day."
)
class HolidayInput:
    location_id: ID = strawberry.field(description="Where.")
    date: Date = strawberry.field(description="When.")
    name: str = strawberry.field(description="What is celebrated.")
    half: HalfOfDay | None = strawberry.field(
        default=UNSET, description="The half that is off; the whole day by default."
    )
    optional: bool | None = strawberry.field(
        default=False, description="Whether it is no day off by itself, but may be taken."
    )


HolidayToSave: TypeAlias = Annotated[HolidayInput, strawberry.argument(description="The holiday.")]
Where: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="The location.")]
When: TypeAlias = Annotated[Date, strawberry.argument(description="The date.")]


class HolidayPayload(msgspec.Struct, frozen=True):
    """The holiday as it is, or was, with how many days were derived again; or what was wrong."""

    holiday: HolidayRow | None
    recomputed_days: int
    user_errors: list[UserErrorValue]


class Celebrated(msgspec.Struct, frozen=True):
    """A holiday that was entered or removed, and how many days were derived again."""

    holiday: HolidayRow
    recomputed_days: int


async def save(info: Info, input: HolidayToSave) -> HolidayPayload:
    """Enter or change a holiday."""
    context = info.context
    done, problems = await changed(context, lambda connection: _save(context, connection, input))
    if done is None:
        return HolidayPayload(None, 0, problems)
    key = done.holiday.location_id, done.holiday.date.year
    fresh = next(row for row in await context.must(holidays_of_year, key) if row.date == done.holiday.date)
    return HolidayPayload(fresh, done.recomputed_days, problems)


async def remove(info: Info, location_id: Where, date: When) -> HolidayPayload:
    """Remove a holiday."""
    context = info.context
    done, problems = await changed(context, lambda connection: _remove(context, connection, location_id, date))
    return HolidayPayload(done.holiday if done else None, done.recomputed_days if done else 0, problems)


async def _save(context: Context, connection: WriteConnection, input: HolidayInput) -> Celebrated:
    location_id = await _location(context, connection, input.location_id, "input.locationId")
    if not EARLIEST <= input.date <= LATEST:
        raise invalid("input.date", f"needed a date from {EARLIEST} to {LATEST}, got {input.date}")
    if input.optional is None:
        raise invalid("input.optional", "needed true or false, got null; leave it out for false")
    old = await holiday_on(connection, location_id, input.date)
    half = input.half if input.half is not UNSET else old.half if old else None
    row = HolidayRow(location_id, input.date, text_of(input.name, "input.name"), half, input.optional)
    if row == old:
        return Celebrated(row, 0)
    await save_holiday(connection, row)
    return Celebrated(row, await _derived_again(context, connection, row))


async def _remove(context: Context, connection: WriteConnection, location_id: str, day: Date) -> Celebrated:
    row = await remove_holiday(connection, await _location(context, connection, location_id, "locationId"), day)
    if row is None:
        raise not_found("date", "holiday of the location")
    return Celebrated(row, await _derived_again(context, connection, row))


async def _location(context: Context, connection: WriteConnection, text: str, where: str) -> LocationId:
    """The location, locked, if the viewer may change its holidays."""
    viewer = context.require_viewer()
    location_id = id_of(text, "Location", where, LocationId)
    if not (viewer.organises or viewer.personnel.location_ids):
        raise forbidden("", "needed the role HR for the location, or ADMIN", Role.HR)
    if await location_for_update(connection, location_id) is None:
        raise not_found(where, "location")
    if not (viewer.organises or location_id in viewer.personnel.location_ids):
        raise forbidden(where, "needed the role HR for this location, or ADMIN", Role.HR)
    return location_id


async def _derived_again(context: Context, connection: WriteConnection, row: HolidayRow) -> int:
    """Derive the date again for whom it has begun; returns how many days these are."""
    now = context.now()
    if row.date > (now + AHEAD).date():
        return 0
    employees = await posted_at(connection, row.location_id, row.date, row.date)
    return (await derive_days(connection, employees, row.date, row.date, now)).days
