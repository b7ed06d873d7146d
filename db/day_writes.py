"""What people decide about days: overrides; the days themselves follow by derivation."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import text

from db.connection import Query, ReadConnection, WriteConnection
from db.day_filter import DayFilter, day_where
from db.rows import OverrideRow
from db.where import statement
from domain.ids import EmployeeId, UserId

_OVERRIDE: Final = Query(
    "override_upsert",
    text("""
    INSERT INTO attendance_override (employee_id, work_date, status, work_mode, reason, created_by)
    SELECT employee_id, work_date, CAST(status AS day_status), CAST(work_mode AS work_mode), :reason,
           CAST(:user_id AS bigint)
    FROM unnest(CAST(:employees AS bigint[]), CAST(:dates AS date[]), CAST(:statuses AS text[]),
                CAST(:work_modes AS text[])) AS o (employee_id, work_date, status, work_mode)
    ON CONFLICT (employee_id, work_date) DO UPDATE SET status = excluded.status, work_mode = excluded.work_mode,
      reason = excluded.reason, created_by = excluded.created_by, created_at = now()"""),
)


async def override_days(
    connection: WriteConnection, overrides: Sequence[OverrideRow], reason: str, user_id: UserId
) -> None:
    """Store decisions about days; a later one replaces an earlier one."""
    await connection.execute(
        _OVERRIDE,
        employees=[row.employee_id for row in overrides],
        dates=[row.work_date for row in overrides],
        statuses=[row.status.value for row in overrides],
        work_modes=[row.work_mode.value if row.work_mode else None for row in overrides],
        reason=reason,
        user_id=user_id,
    )


async def employees_of_days(connection: ReadConnection, filter_: DayFilter, most: int) -> list[EmployeeId]:
    """Whose days a filter finds, at most `most`."""
    where = day_where(filter_)
    sql = f"SELECT DISTINCT d.employee_id FROM attendance_day d WHERE {where.sql} ORDER BY 1 LIMIT CAST(:rows AS int)"
    parameters: dict[str, Any] = {**where.parameters, "rows": most}
    return [row[0] for row in await connection.records(statement("employees_of_days", sql), **parameters)]
