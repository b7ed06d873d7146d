"""Shifts and the versions of their rules."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among
from db.rows import ShiftRow, ShiftRuleRow, columns_of
from domain.ids import ShiftId

_T, _R = tables.shift, tables.shift_rule
_COLUMNS = columns_of(_T, ShiftRow)
_BY_ID = Query("shift_by_id", select(*_COLUMNS).where(among(_T.c.id, "ids")))
_ALL = Query("shifts", select(*_COLUMNS).order_by(_T.c.name, _T.c.id))
_RULES = Query(
    "rules_of_shift",
    select(*columns_of(_R, ShiftRuleRow)).where(among(_R.c.shift_id, "ids")).order_by(_R.c.shift_id, _R.c.valid_from),
)


async def shifts_by_id(connection: ReadConnection, ids: Sequence[ShiftId]) -> dict[ShiftId, ShiftRow]:
    """Shifts by id."""
    return {row.id: row for row in await connection.all(_BY_ID, ShiftRow, ids=ids)}


async def all_shifts(connection: ReadConnection, keys: Sequence[str]) -> dict[str, tuple[ShiftRow, ...]]:
    """Every shift by name, under the one key that there is."""
    rows = tuple(await connection.all(_ALL, ShiftRow))
    return dict.fromkeys(keys, rows)


async def rules_by_shift(connection: ReadConnection, ids: Sequence[ShiftId]) -> dict[ShiftId, tuple[ShiftRuleRow, ...]]:
    """The versions of the rule of each shift, the oldest first."""
    found: defaultdict[ShiftId, list[ShiftRuleRow]] = defaultdict(list)
    for row in await connection.all(_RULES, ShiftRuleRow, ids=ids):
        found[row.shift_id].append(row)
    return {shift: tuple(rows) for shift, rows in found.items()}
