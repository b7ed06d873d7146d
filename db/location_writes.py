"""Changes of locations and their holidays, and whose days they touch."""

from datetime import date

import msgspec
from sqlalchemy import select, text

from db import tables
from db.connection import Query, WriteConnection
from db.parameters import key
from db.rows import HolidayRow, LocationRow, columns_of
from domain.ids import EmployeeId, LocationId

_T = tables.location
_FOR_UPDATE = Query(
    "location_for_update", select(*columns_of(_T, LocationRow)).where(_T.c.id == key("id")).with_for_update()
)
_INSERT = Query(
    "location_insert",
    text("""
    INSERT INTO location (code, name, time_zone, work_week_id)
    VALUES (CAST(:code AS citext), :name, :time_zone, CAST(:work_week_id AS int)) RETURNING id"""),
)
_UPDATE = Query(
    "location_update",
    text("""
    UPDATE location SET code = CAST(:code AS citext), name = :name, time_zone = :time_zone, version = version + 1
    WHERE id = CAST(:id AS int)"""),
)
_KNOWS_ZONE = Query("zone_known", text("SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :name)"))
_FIRST_WORK_WEEK = Query("work_week_first", text("SELECT id FROM work_week ORDER BY id LIMIT 1"))
_MAKE_WORK_WEEK = Query(
    "work_week_make",
    text("""
    WITH made AS (
      INSERT INTO work_week (code, name) VALUES ('SAT-SUN', 'Saturday and Sunday off')
      ON CONFLICT (code) DO NOTHING RETURNING id)
    INSERT INTO work_week_off (work_week_id, iso_weekday) SELECT id, unnest(ARRAY[6, 7]) FROM made"""),
)
_POSTED = Query(
    "posted_at_location",
    text("""
    SELECT DISTINCT employee_id FROM employee_posting
    WHERE location_id = CAST(:location_id AS int) AND valid_from <= CAST(:last AS date)
      AND (valid_to IS NULL OR valid_to >= CAST(:first AS date))"""),
)
_SAVE_HOLIDAY = Query(
    "holiday_save",
    text("""
    INSERT INTO holiday (location_id, date, name, half, optional)
    VALUES (CAST(:location_id AS int), CAST(:date AS date), :name, CAST(:half AS half_of_day), :optional)
    ON CONFLICT (location_id, date) DO UPDATE
    SET name = excluded.name, half = excluded.half, optional = excluded.optional"""),
)
_REMOVE_HOLIDAY = Query(
    "holiday_remove",
    text("""
    DELETE FROM holiday WHERE location_id = CAST(:location_id AS int) AND date = CAST(:date AS date)
    RETURNING location_id, date, name, half, optional"""),
)


async def location_for_update(connection: WriteConnection, location_id: int) -> LocationRow | None:
    """A location, locked until the transaction ends: meanwhile nobody can be posted to it."""
    return await connection.first(_FOR_UPDATE, LocationRow, id=location_id)


async def insert_location(connection: WriteConnection, row: LocationRow) -> int:
    """Add a location with the installation's first work week; returns its id."""
    week = await connection.first(_FIRST_WORK_WEEK, int)
    if week is None:
        await connection.execute(_MAKE_WORK_WEEK)
        week = await connection.first(_FIRST_WORK_WEEK, int)
    [(made,)] = await connection.records(_INSERT, **msgspec.structs.asdict(row) | {"work_week_id": week})
    return int(made)


async def update_location(connection: WriteConnection, row: LocationRow) -> int:
    """Store what a location has become; its version rises."""
    await connection.execute(_UPDATE, **msgspec.structs.asdict(row))
    return row.id


async def knows_zone(connection: WriteConnection, name: str) -> bool:
    """Whether PostgreSQL has the zone as well: its list may be older than Python's."""
    return bool(await connection.first(_KNOWS_ZONE, bool, name=name))


async def posted_at(connection: WriteConnection, location_id: LocationId, first: date, last: date) -> list[EmployeeId]:
    """Who belongs to a location on any of the dates from `first` to `last`."""
    ids = await connection.all(_POSTED, int, location_id=location_id, first=first, last=last)
    return [EmployeeId(id_) for id_ in ids]


async def save_holiday(connection: WriteConnection, row: HolidayRow) -> None:
    """Store a holiday, instead of the one that the location has on that date."""
    await connection.execute(_SAVE_HOLIDAY, **msgspec.structs.asdict(row))


async def remove_holiday(connection: WriteConnection, location_id: LocationId, day: date) -> HolidayRow | None:
    """Delete a holiday; returns it, None when there is none."""
    return await connection.first(_REMOVE_HOLIDAY, HolidayRow, location_id=location_id, date=day)
