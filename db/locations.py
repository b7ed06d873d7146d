"""Locations and their holidays."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date

from sqlalchemy import select, text

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import HolidayRow, LocationRow, columns_of
from domain.ids import LocationId

_T, _H = tables.location, tables.holiday
_COLUMNS = columns_of(_T, LocationRow)
_BY_ID = Query("location_by_id", select(*_COLUMNS).where(among(_T.c.id, "ids")))
_ALL = Query("locations", select(*_COLUMNS).order_by(_T.c.name, _T.c.id))
_HOLIDAYS = Query(
    "holidays_of_year",
    text("""
    SELECT h.location_id, h.date, h.name, h.half, h.optional
    FROM unnest(CAST(:locations AS int[]), CAST(:years AS int[])) AS k (location_id, year)
    JOIN holiday h ON h.location_id = k.location_id AND h.date >= make_date(k.year, 1, 1)
                  AND h.date < make_date(k.year + 1, 1, 1)
    ORDER BY h.date"""),
)


async def locations_by_id(connection: ReadConnection, ids: Sequence[LocationId]) -> dict[LocationId, LocationRow]:
    """Locations by id."""
    return {row.id: row for row in await connection.all(_BY_ID, LocationRow, ids=ids)}


async def all_locations(connection: ReadConnection, keys: Sequence[str]) -> dict[str, tuple[LocationRow, ...]]:
    """Every location by name, under the one key that there is."""
    rows = tuple(await connection.all(_ALL, LocationRow))
    return dict.fromkeys(keys, rows)


async def holidays_of_year(
    connection: ReadConnection, keys: Sequence[tuple[LocationId, int]]
) -> dict[tuple[LocationId, int], tuple[HolidayRow, ...]]:
    """The holidays of each (location, year) by date."""
    locations, years = zip(*keys, strict=True)
    found: defaultdict[tuple[LocationId, int], list[HolidayRow]] = defaultdict(list)
    for row in await connection.all(_HOLIDAYS, HolidayRow, locations=locations, years=years):
        found[row.location_id, row.date.year].append(row)
    return {key: tuple(rows) for key, rows in found.items()}


async def holiday_on(connection: ReadConnection, location_id: LocationId, day: date) -> HolidayRow | None:
    """The holiday of a location on a date."""
    return await connection.first(_HOLIDAY_ON, HolidayRow, location_id=location_id, date=day)


_HOLIDAY_ON = Query(
    "holiday_on",
    text(
        "SELECT location_id, date, name, half, optional FROM holiday WHERE location_id = :location_id AND date = :date"
    ),
)
