"""The roll-up of days: sums per date, department, location and shift, recomputed by slice, never incremented.

A slice is a (date, department). Whoever changes a day refreshes its slices in the same transaction, under a lock for
each slice, so that of two writers the later one sums up what both wrote.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from sqlalchemy import text

from db.connection import Query, WriteConnection
from domain.attendance.metrics import SUM_NAMES
from domain.ids import DepartmentId

Slice = tuple[date, DepartmentId]

MOST_SLICE_LOCKS: Final = 500
"""With more slices than this one lock stands for all: PostgreSQL's lock table is shared by everybody."""

LATE: Final = "late_minutes > 0"
FIRST_IN_MINUTES: Final = (
    "CAST(floor(extract(epoch FROM first_in AT TIME ZONE time_zone - CAST(work_date AS timestamp)) / 60) AS int)"
)
SUM_OF_DAYS: Final = {
    "days": "count(*)",
    "pending_count": "count(*) FILTER (WHERE status = 'PENDING')",
    "present_halves": "coalesce(sum(present_halves), 0)",
    "punctual_halves": f"coalesce(sum(present_halves) FILTER (WHERE NOT {LATE}), 0)",
    "leave_halves": "coalesce(sum(leave_halves), 0)",
    "absent_halves": "coalesce(sum(absent_halves), 0)",
    "off_halves": "coalesce(sum(off_halves), 0)",
    "late_count": f"count(*) FILTER (WHERE {LATE})",
    "early_exit_count": "count(*) FILTER (WHERE early_exit_minutes > 0)",
    "incomplete_count": "count(*) FILTER (WHERE status = 'INCOMPLETE')",
    "remote_count": "count(*) FILTER (WHERE work_mode = 'REMOTE')",
    "expected_minutes": "coalesce(sum(expected_minutes), 0)",
    "worked_minutes": "coalesce(sum(worked_minutes), 0)",
    "late_minutes": "coalesce(sum(late_minutes), 0)",
    "overtime_minutes": "coalesce(sum(overtime_minutes), 0)",
    "overtime_approved_minutes": "coalesce(sum(overtime_approved_minutes), 0)",
    "first_in_count": "count(first_in)",
    "first_in_minutes": f"coalesce(sum({FIRST_IN_MINUTES}), 0)",
}
"""Each of `Sums` as SQL over attendance_day."""
SUM_OF_ROLL_UP: Final = {name: f"coalesce(sum({name}), 0)" for name in SUM_NAMES}
"""Each of `Sums` as SQL over attendance_stat."""

_NAMES: Final = ", ".join(SUM_NAMES)
_SUMS: Final = ", ".join(SUM_OF_DAYS[name] for name in SUM_NAMES)
_INSERT: Final = f"INSERT INTO attendance_stat (work_date, department_id, location_id, shift_id, {_NAMES})"
_SELECT: Final = f"SELECT work_date, department_id, location_id, coalesce(shift_id, 0), {_SUMS} FROM attendance_day"
_SLICES: Final = "unnest(CAST(:dates AS date[]), CAST(:departments AS int[])) AS slice (on_date, of_department)"
_IN_SLICE: Final = "work_date = slice.on_date AND department_id = slice.of_department"

_LOCK_SLICES = Query(
    "roll_up_lock",
    text(f"""
    SELECT pg_advisory_xact_lock(7396, number), pg_advisory_xact_lock_shared(7395) FROM (
      SELECT DISTINCT hashtext(on_date || ':' || of_department) AS number FROM {_SLICES} ORDER BY 1) AS numbers"""),
)
_LOCK_ALL = Query("roll_up_lock_all", text("SELECT pg_advisory_xact_lock(7395)"))
_CLEAR_SLICES = Query("roll_up_clear", text(f"DELETE FROM attendance_stat USING {_SLICES} WHERE {_IN_SLICE}"))
_FILL_SLICES = Query("roll_up_fill", text(f"{_INSERT} {_SELECT}, {_SLICES} WHERE {_IN_SLICE} GROUP BY 1, 2, 3, 4"))
_CLEAR_RANGE = Query(
    "roll_up_clear_range", text("DELETE FROM attendance_stat WHERE work_date BETWEEN :first AND :last")
)
_FILL_RANGE = Query(
    "roll_up_fill_range", text(f"{_INSERT} {_SELECT} WHERE work_date BETWEEN :first AND :last GROUP BY 1, 2, 3, 4")
)


async def refresh_stats(connection: WriteConnection, slices: Iterable[Slice]) -> None:
    """Recompute slices whose days this transaction changed."""
    chosen = sorted(set(slices))
    if not chosen:
        return
    dates, departments = zip(*chosen, strict=True)
    if len(chosen) > MOST_SLICE_LOCKS:
        await connection.records(_LOCK_ALL)
    else:
        await connection.records(_LOCK_SLICES, dates=dates, departments=departments)
    await connection.execute(_CLEAR_SLICES, dates=dates, departments=departments)
    await connection.execute(_FILL_SLICES, dates=dates, departments=departments)


async def refresh_all_stats(connection: WriteConnection, first: date, last: date) -> None:
    """Recompute every slice of the dates from `first` to `last`."""
    await connection.records(_LOCK_ALL)
    await connection.execute(_CLEAR_RANGE, first=first, last=last)
    await connection.execute(_FILL_RANGE, first=first, last=last)
