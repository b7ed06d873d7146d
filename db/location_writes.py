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
_END_ZONE = Query(
    "location_zone_end",
    text("""
    WITH standing AS (
      SELECT coalesce((SELECT p.time_zone FROM location_past_zone p
                       WHERE p.location_id = l.id AND p.valid_to >= CAST(:last AS date) ORDER BY p.valid_to LIMIT 1),
                      l.time_zone) AS time_zone
      FROM location l WHERE l.id = CAST(:id AS int)),
    gone AS (
      DELETE FROM location_past_zone WHERE location_id = CAST(:id AS int) AND valid_to > CAST(:last AS date))
    INSERT INTO location_past_zone (location_id, valid_to, time_zone)
    SELECT CAST(:id AS int), CAST(:last AS date), time_zone FROM standing
    WHERE EXISTS (SELECT FROM attendance_stat WHERE location_id = CAST(:id AS int) AND work_date <= CAST(:last AS date))
    ON CONFLICT (location_id, valid_to) DO NOTHING"""),
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


async def end_zone(connection: WriteConnection, location_id: LocationId, last: date) -> None:
    """Let the dates up to `last` keep the zone that they have, before the location gets another one.

    Where no day was derived yet, no date has one: then the other one is a correction.
    """
    await connection.execute(_END_ZONE, id=location_id, last=last)


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
