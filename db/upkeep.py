"""What time alone changes: days that are to be settled or begun, postings that take effect, partitions ahead."""

from datetime import date, datetime

from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.days import CATCH_UP
from db.rows import Row
from domain.ids import EmployeeId
from domain.periods import ONE_DAY

_LEAD = Query("upkeep_lead", text("SELECT pg_try_advisory_xact_lock(7394)"))
_DUE = Query(
    "upkeep_due",
    text("""
    SELECT employee_id, min(work_date), max(work_date) FROM (
      SELECT employee_id, work_date FROM attendance_day
      WHERE settles_at <= CAST(:now AS timestamptz) AND NOT locked ORDER BY settles_at LIMIT 5000) AS due
    GROUP BY employee_id ORDER BY employee_id LIMIT CAST(:rows AS int)"""),
)
_UNBEGUN = Query(
    "upkeep_unbegun",
    text("""
    SELECT today.id, coalesce((SELECT max(d.work_date) + 1 FROM attendance_day d WHERE d.employee_id = today.id
                               AND d.work_date BETWEEN CAST(:oldest AS date) AND today.local_date),
                              CASE WHEN today.hired_on >= :oldest THEN today.hired_on ELSE today.local_date END),
           today.local_date
    FROM (
      SELECT e.id, e.hired_on, e.left_on,
             CAST(CAST(:now AS timestamptz) AT TIME ZONE coalesce(e.time_zone, l.time_zone) AS date) AS local_date
      FROM employee e JOIN location l ON l.id = e.location_id WHERE e.status <> 'TERMINATED') AS today
    WHERE today.hired_on <= today.local_date AND (today.left_on IS NULL OR today.left_on >= today.local_date)
      AND NOT EXISTS (SELECT FROM attendance_day d WHERE d.employee_id = today.id AND d.work_date = today.local_date
                      AND d.work_date BETWEEN CAST(:first AS date) AND CAST(:last AS date))
      AND EXISTS (SELECT FROM employee_posting p WHERE p.employee_id = today.id AND p.valid_from <= today.local_date
                  AND (p.valid_to IS NULL OR p.valid_to >= today.local_date))
    ORDER BY today.id LIMIT CAST(:rows AS int)"""),
)
_POSTINGS = Query(
    "upkeep_postings",
    text("""
    UPDATE employee e SET department_id = p.department_id, location_id = p.location_id, manager_id = p.manager_id,
      version = e.version + 1
    FROM (
      SELECT DISTINCT ON (p.employee_id) p.* FROM employee_posting p JOIN location l ON l.id = p.location_id
      JOIN employee e ON e.id = p.employee_id
      WHERE p.valid_from <= CAST(CAST(:now AS timestamptz) AT TIME ZONE coalesce(e.time_zone, l.time_zone) AS date)
      ORDER BY p.employee_id, p.valid_from DESC) AS p
    WHERE p.employee_id = e.id AND (e.department_id, e.location_id, coalesce(e.manager_id, 0))
          IS DISTINCT FROM (p.department_id, p.location_id, coalesce(p.manager_id, 0))"""),
)
_LEAVERS = Query(
    "upkeep_leavers",
    text("""
    UPDATE employee e SET status = 'TERMINATED', version = e.version + 1 FROM location l
    WHERE l.id = e.location_id AND e.status <> 'TERMINATED'
      AND e.left_on < CAST(CAST(:now AS timestamptz) AT TIME ZONE coalesce(e.time_zone, l.time_zone) AS date)"""),
)
_PARTITIONS = Query("upkeep_partitions", text("SELECT make_partitions(CAST(:first AS date), CAST(:last AS date))"))
_OLD_KEYS = Query(
    "upkeep_idempotency", text("DELETE FROM idempotency_key WHERE created_at < CAST(:before AS timestamptz)")
)


class DueRow(Row, frozen=True, array_like=True):
    """Days of an employee, from `first` to `last`, that are to be derived now."""

    employee_id: EmployeeId
    first: date
    last: date


async def lead(connection: WriteConnection) -> bool:
    """Take the lead of the upkeep for this transaction; False when another process has it."""
    [(mine,)] = await connection.records(_LEAD)
    return bool(mine)


async def due(connection: WriteConnection, now: datetime, most: int) -> list[DueRow]:
    """Employees with days whose window is over but that are still pending."""
    return await connection.all(_DUE, DueRow, now=now, rows=most)


async def unbegun(connection: WriteConnection, now: datetime, most: int) -> list[DueRow]:
    """Employees whose today, where they work, has no day yet, with the dates since their latest day.

    Who has none of the last CATCH_UP begins with the day of hiring, or with today when that is longer ago.
    """
    today = now.date()
    dates = {"oldest": today - CATCH_UP, "first": today - ONE_DAY, "last": today + ONE_DAY}
    return await connection.all(_UNBEGUN, DueRow, now=now, rows=most, **dates)


async def apply_postings(connection: WriteConnection, now: datetime) -> int:
    """Make postings that have taken effect the employees' present ones."""
    return await connection.execute(_POSTINGS, now=now)


async def let_go(connection: WriteConnection, now: datetime) -> int:
    """Let those be TERMINATED whose last day is over."""
    return await connection.execute(_LEAVERS, now=now)


async def make_partitions(connection: WriteConnection, first: date, last: date) -> int:
    """Make the missing partitions of the months from `first` to `last`."""
    [(made,)] = await connection.records(_PARTITIONS, first=first, last=last)
    return int(made)


async def forget_idempotency_keys(connection: WriteConnection, before: datetime) -> int:
    """Delete keys that nobody will send again."""
    return await connection.execute(_OLD_KEYS, before=before)
