"""Shift assignments: added where there is room, or in the place of others."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.rows import AssignmentRow
from domain.ids import EmployeeId, ShiftId
from domain.periods import ONE_DAY

_COLUMNS: Final = ", ".join(AssignmentRow.__struct_fields__)
_OVERLAPPING: Final = Query(
    "assignments_overlapping",
    text(f"""
    SELECT {_COLUMNS} FROM shift_assignment WHERE employee_id = ANY(CAST(:ids AS bigint[]))
      AND iso_weekdays & CAST(:iso_weekdays AS int) <> 0
      AND daterange(valid_from, valid_to, '[]') && daterange(CAST(:first AS date), CAST(:last AS date), '[]')
    ORDER BY employee_id, valid_from FOR UPDATE"""),
)
_DELETE: Final = Query(
    "assignments_delete", text("DELETE FROM shift_assignment WHERE id = ANY(CAST(:ids AS bigint[]))")
)
_INSERT: Final = Query(
    "assignments_insert",
    text("""
    INSERT INTO shift_assignment (employee_id, shift_id, valid_from, valid_to, iso_weekdays)
    SELECT employee_id, shift_id, valid_from, valid_to, iso_weekdays
    FROM unnest(CAST(:employees AS bigint[]), CAST(:shifts AS int[]), CAST(:firsts AS date[]), CAST(:lasts AS date[]),
                CAST(:weekdays AS int[])) AS a (employee_id, shift_id, valid_from, valid_to, iso_weekdays)"""),
)
NEW: Final = 0
"""The id of an assignment that is not stored yet."""


async def overlapping(
    connection: WriteConnection, ids: Sequence[EmployeeId], first: date, last: date | None, iso_weekdays: int
) -> list[AssignmentRow]:
    """The assignments of employees that claim some of the weekdays (bit 0 is Monday) of the dates, locked."""
    return await connection.all(_OVERLAPPING, AssignmentRow, ids=ids, first=first, last=last, iso_weekdays=iso_weekdays)


async def delete_assignments(connection: WriteConnection, rows: Sequence[AssignmentRow]) -> None:
    """Delete assignments."""
    await connection.execute(_DELETE, ids=[row.id for row in rows])


async def insert_assignments(connection: WriteConnection, rows: Sequence[AssignmentRow]) -> None:
    """Add assignments; their ids do not matter."""
    await connection.execute(
        _INSERT,
        employees=[row.employee_id for row in rows],
        shifts=[row.shift_id for row in rows],
        firsts=[row.valid_from for row in rows],
        lasts=[row.valid_to for row in rows],
        weekdays=[row.iso_weekdays for row in rows],
    )


def without(row: AssignmentRow, first: date, last: date | None, iso_weekdays: int) -> list[AssignmentRow]:
    """What is left of an assignment once others have these weekdays of the dates from `first` to `last`."""
    left = []
    if row.valid_from < first:
        left.append(_piece(row, row.valid_from, first - ONE_DAY, row.iso_weekdays))
    if rest := row.iso_weekdays & ~iso_weekdays:
        ends = [end for end in (row.valid_to, last) if end is not None]
        left.append(_piece(row, max(row.valid_from, first), min(ends) if ends else None, rest))
    if last is not None and (row.valid_to is None or row.valid_to > last):
        left.append(_piece(row, last + ONE_DAY, row.valid_to, row.iso_weekdays))
    return left


def beside(row: AssignmentRow, others: Sequence[AssignmentRow]) -> list[AssignmentRow]:
    """The pieces of an assignment for which others leave room."""
    pieces = [row]
    for other in others:
        pieces = [left for piece in pieces for left in _left_by(piece, other)]
    return pieces


def _left_by(piece: AssignmentRow, other: AssignmentRow) -> list[AssignmentRow]:
    apart = (piece.valid_to is not None and piece.valid_to < other.valid_from) or (
        other.valid_to is not None and other.valid_to < piece.valid_from
    )
    return [piece] if apart else without(piece, other.valid_from, other.valid_to, other.iso_weekdays)


def _piece(row: AssignmentRow, first: date, last: date | None, iso_weekdays: int) -> AssignmentRow:
    return AssignmentRow(NEW, row.employee_id, row.shift_id, first, last, iso_weekdays)


def assignment(
    employee_id: EmployeeId, shift_id: ShiftId, first: date, last: date | None, iso_weekdays: int
) -> AssignmentRow:
    """A new assignment."""
    return AssignmentRow(NEW, employee_id, shift_id, first, last, iso_weekdays)
