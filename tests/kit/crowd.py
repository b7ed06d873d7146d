"""A crowd: many employees with days and punches, made by SQL alone, for counts and plans; not derived by the rules."""

from datetime import date, timedelta
from typing import Final

from db.database import Database
from db.roll_up import refresh_all_stats
from db.where import statement
from domain.ids import DepartmentId, LocationId
from tests.kit.rows import Rows

LAST: Final = date(2026, 3, 16)
DEPARTMENTS: Final = 20
LOCATIONS: Final = 5
SHIFTS: Final = 3
MANAGERS: Final = 10

_EMPLOYEES = """
    INSERT INTO employee (employee_no, full_name, email, badge_no, department_id, location_id, manager_id,
                          default_shift_id, hired_on)
    SELECT 'C' || n, 'Person ' || lpad((n * 7919 % 100000)::text, 5, '0'), 'person' || n || '@rollcall.test', 'B' || n,
           n % :departments + 1, n % :locations + 1, CASE WHEN n > :managers THEN n % :managers + 1 END,
           n % :shifts + 1, DATE '2024-01-01' + (n * 31 % 700)::int
    FROM generate_series(1, CAST(:employees AS int)) AS n"""
_POSTINGS = """
    INSERT INTO employee_posting (employee_id, valid_from, department_id, location_id, manager_id)
    SELECT id, hired_on, department_id, location_id, manager_id FROM employee"""
_DAYS = """
    INSERT INTO attendance_day (employee_id, work_date, department_id, location_id, manager_id, shift_id, shift_rule_id,
      time_zone, day_type, status, starts_at, ends_at, first_in, last_out, presence, presence_since, expected_minutes,
      worked_minutes, late_minutes, overtime_minutes, present_halves, absent_halves, exceptions)
    SELECT e.id, d.day, department_id, location_id, manager_id, default_shift_id, default_shift_id, 'UTC', 'WORKING',
      CASE WHEN absent THEN 'ABSENT' ELSE 'PRESENT' END::day_status, d.day + time '09:00', d.day + time '18:00',
      CASE WHEN NOT absent THEN d.day + time '09:00' + make_interval(mins => late) END,
      CASE WHEN NOT absent THEN d.day + time '18:00' END,
      CASE WHEN NOT absent THEN 'OUT'::presence_state END, CASE WHEN NOT absent THEN d.day + time '18:00' END,
      480, CASE WHEN absent THEN 0 ELSE 480 - late END, CASE WHEN absent THEN 0 ELSE late END, 0,
      CASE WHEN absent THEN 0 ELSE 2 END, CASE WHEN absent THEN 2 ELSE 0 END, CASE WHEN absent THEN 512 ELSE 0 END
    FROM employee e CROSS JOIN generate_series(CAST(:first AS date), CAST(:last AS date), interval '1 day') AS d (day)
    CROSS JOIN LATERAL (
      SELECT (e.id + extract(day FROM d.day)::int) % 17 = 0, (e.id * 3 % 11)::int) AS x (absent, late)"""
_PUNCHES = """
    INSERT INTO punch (employee_id, punched_at, direction, source)
    SELECT employee_id, at, direction::punch_direction, 'DEVICE' FROM attendance_day
    CROSS JOIN LATERAL (VALUES (first_in, 'IN'), (last_out, 'OUT')) AS p (at, direction) WHERE at IS NOT NULL"""


async def fill_crowd(url: str, employees: int, days: int) -> None:
    """Fill a migrated database with `employees` who came on most of `days` dates up to LAST."""
    first = LAST - timedelta(days=days - 1)
    database = Database(url)
    async with database.transaction() as connection:
        rows = Rows(connection)
        await rows.partitions(first, LAST)
        week = await rows.work_week("WEEKEND", (6, 31), (7, 31))
        for number in range(LOCATIONS):
            await rows.location(f"L{number}", "UTC", week)
        for number in range(DEPARTMENTS):
            await rows.department(f"D{number:02}", DepartmentId(1) if number else None)
        for number in range(SHIFTS):
            await rows.rule(await rows.shift(f"S{number}"))
        for number in range(LOCATIONS):
            await rows.holiday(LocationId(number + 1), date(2026, 1, 1), "New year")
        counts = {"departments": DEPARTMENTS, "locations": LOCATIONS, "managers": MANAGERS, "shifts": SHIFTS}
        await rows.run(_EMPLOYEES, employees=employees, **counts)
        await rows.run(_POSTINGS)
        await rows.run(_DAYS, first=first, last=LAST)
        await rows.run(_PUNCHES)
        await refresh_all_stats(connection, first, LAST)
    async with database.read() as connection:
        await connection.records(statement("vacuum", "VACUUM ANALYZE employee"))  # empties the GIN index's waiting list
        await connection.records(statement("analyze", "ANALYZE"))
    await database.close()
