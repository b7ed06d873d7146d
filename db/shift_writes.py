"""Changes of shifts and of the versions of their rules, and whose days they touch."""

from collections.abc import Sequence
from datetime import date

import msgspec
from sqlalchemy import select, text

from db import tables
from db.connection import DIALECT, Query, WriteConnection
from db.parameters import key
from db.rows import ShiftRow, ShiftRuleRow, columns_of
from domain.attendance.plan import Rule
from domain.ids import EmployeeId, ShiftId, ShiftRuleId

_T = tables.shift
_FOR_UPDATE = Query("shift_for_update", select(*columns_of(_T, ShiftRow)).where(_T.c.id == key("id")).with_for_update())
_INSERT = Query(
    "shift_insert",
    text("INSERT INTO shift (code, name, color) VALUES (CAST(:code AS citext), :name, :color) RETURNING id"),
)
_UPDATE = Query(
    "shift_update",
    text("""
    UPDATE shift SET code = CAST(:code AS citext), name = :name, color = :color, version = version + 1
    WHERE id = CAST(:id AS int)"""),
)
_RULE_NAMES = ("shift_id", "valid_from", "valid_to", *Rule.__struct_fields__)
_RULE_VALUES = ", ".join(f"CAST(:{name} AS {tables.shift_rule.c[name].type.compile(DIALECT)})" for name in _RULE_NAMES)
_INSERT_RULE = Query(
    "shift_rule_insert",
    text(f"""
    INSERT INTO shift_rule ({", ".join(_RULE_NAMES)}) VALUES ({_RULE_VALUES})
    RETURNING {", ".join(ShiftRuleRow.__struct_fields__)}"""),
)
_CLOSE_RULE = Query(
    "shift_rule_close",
    text("UPDATE shift_rule SET valid_to = CAST(:valid_to AS date) WHERE id = CAST(:id AS int)"),
)
_DELETE_RULE = Query("shift_rule_delete", text("DELETE FROM shift_rule WHERE id = CAST(:id AS int)"))
_ZONES = Query(
    "zones_in_use",
    text("SELECT time_zone FROM location UNION SELECT time_zone FROM employee WHERE time_zone IS NOT NULL"),
)
_ON_SHIFT = Query(
    "employees_on_shift",
    text("""
    SELECT employee_id FROM attendance_day
    WHERE shift_id = CAST(:shift_id AS int) AND work_date BETWEEN :first AND :last
    UNION SELECT id FROM employee WHERE default_shift_id = CAST(:shift_id AS int)
    UNION SELECT employee_id FROM roster_day
    WHERE shift_id = CAST(:shift_id AS int) AND work_date BETWEEN :first AND :last
    UNION SELECT employee_id FROM shift_assignment
    WHERE shift_id = CAST(:shift_id AS int) AND valid_from <= :last AND (valid_to IS NULL OR valid_to >= :first)"""),
)
_FIRST_DAY = Query(
    "first_day_of_employees",
    text("""
    SELECT min(work_date) FROM attendance_day
    WHERE employee_id = ANY(CAST(:ids AS bigint[])) AND work_date BETWEEN :first AND :last"""),
)


async def shift_for_update(connection: WriteConnection, shift_id: int) -> ShiftRow | None:
    """A shift, locked until the transaction ends: meanwhile nobody can be assigned to it."""
    return await connection.first(_FOR_UPDATE, ShiftRow, id=shift_id)


async def insert_shift(connection: WriteConnection, row: ShiftRow) -> int:
    """Add a shift; returns its id."""
    [(made,)] = await connection.records(_INSERT, **msgspec.structs.asdict(row))
    return int(made)


async def update_shift(connection: WriteConnection, row: ShiftRow) -> int:
    """Store what a shift has become; its version rises."""
    await connection.execute(_UPDATE, **msgspec.structs.asdict(row))
    return row.id


async def insert_rule(
    connection: WriteConnection, shift_id: ShiftId, valid_from: date, valid_to: date | None, rule: Rule
) -> ShiftRuleRow:
    """Add a version of a shift's rule."""
    values = msgspec.structs.asdict(rule)
    [row] = await connection.all(
        _INSERT_RULE, ShiftRuleRow, shift_id=shift_id, valid_from=valid_from, valid_to=valid_to, **values
    )
    return row


async def close_rule(connection: WriteConnection, rule_id: ShiftRuleId, valid_to: date) -> None:
    """Let a version end."""
    await connection.execute(_CLOSE_RULE, id=rule_id, valid_to=valid_to)


async def delete_rule(connection: WriteConnection, rule_id: ShiftRuleId) -> None:
    """Delete a version that never was in force."""
    await connection.execute(_DELETE_RULE, id=rule_id)


async def zones_in_use(connection: WriteConnection) -> Sequence[str]:
    """The zones that anybody works in."""
    return await connection.all(_ZONES, str)


async def employees_on_shift(
    connection: WriteConnection, shift_id: ShiftId, first: date, last: date
) -> list[EmployeeId]:
    """Whose days from `first` to `last` are on the shift, or could be by assignment, roster or default."""
    ids = await connection.all(_ON_SHIFT, int, shift_id=shift_id, first=first, last=last)
    return [EmployeeId(id_) for id_ in ids]


async def first_day_of(
    connection: WriteConnection, employee_ids: Sequence[EmployeeId], first: date, last: date
) -> date | None:
    """The first derived day of any of the employees from `first` to `last`."""
    return await connection.first(_FIRST_DAY, date, ids=employee_ids, first=first, last=last)
