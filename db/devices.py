"""Punch clocks."""

from collections.abc import Sequence

from sqlalchemy import select, text

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import DeviceRow, columns_of

_T = tables.device
_BY_ID = Query("device_by_id", select(*columns_of(_T, DeviceRow)).where(among(_T.c.id, "ids")))
_BY_CODE = Query("device_by_code", text("SELECT id, code, location_id, is_active FROM device WHERE code = :code"))


async def devices_by_id(connection: ReadConnection, ids: Sequence[int]) -> dict[int, DeviceRow]:
    """Devices by id."""
    return {row.id: row for row in await connection.all(_BY_ID, DeviceRow, ids=ids)}


async def device_by_code(connection: ReadConnection, code: str) -> DeviceRow | None:
    """The device of a code, whatever its case."""
    return await connection.first(_BY_CODE, DeviceRow, code=code)
