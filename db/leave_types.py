"""Kinds of leave."""

from collections.abc import Sequence

from sqlalchemy import select

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import LeaveTypeRow, columns_of
from domain.ids import LeaveTypeId

_T = tables.leave_type
_COLUMNS = columns_of(_T, LeaveTypeRow)
_BY_ID = Query("leave_type_by_id", select(*_COLUMNS).where(among(_T.c.id, "ids")))
_ALL = Query("leave_types", select(*_COLUMNS).order_by(_T.c.name, _T.c.id))


async def leave_types_by_id(connection: ReadConnection, ids: Sequence[LeaveTypeId]) -> dict[LeaveTypeId, LeaveTypeRow]:
    """Kinds of leave by id."""
    return {row.id: row for row in await connection.all(_BY_ID, LeaveTypeRow, ids=ids)}


async def all_leave_types(connection: ReadConnection, keys: Sequence[str]) -> dict[str, tuple[LeaveTypeRow, ...]]:
    """Every kind of leave by name, under the one key that there is."""
    rows = tuple(await connection.all(_ALL, LeaveTypeRow))
    return dict.fromkeys(keys, rows)
