"""Employees written, with their postings: where they belong from which date on."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.employees import COLUMNS, FROM
from db.rows import EmployeeRow, PostingRow
from domain.ids import EmployeeId

_FOR_UPDATE: Final = Query(
    "employee_for_update",
    text(f"""
    SELECT {COLUMNS} FROM {FROM}
    WHERE e.id = CAST(:id AS bigint) FOR NO KEY UPDATE OF e"""),
)
_HAVING: Final = {
    name: Query(
        f"employee_having_{name}", text(f"SELECT {COLUMNS} FROM {FROM} WHERE e.{name} = CAST(:value AS {type_})")
    )
    for name, type_ in (("employee_no", "citext"), ("email", "citext"), ("badge_no", "text"))
}
_INSERT: Final = Query(
    "employee_insert",
    text("""
    INSERT INTO employee (employee_no, full_name, email, badge_no, status, designation, department_id, location_id,
                          manager_id, default_shift_id, hired_on, left_on)
    VALUES (:employee_no, :full_name, :email, :badge_no, CAST(:status AS employee_status), :designation, :department_id,
            :location_id, CAST(:manager_id AS bigint), CAST(:default_shift_id AS int), CAST(:hired_on AS date),
            CAST(:left_on AS date))
    RETURNING id"""),
)
_UPDATE: Final = Query(
    "employee_update",
    text("""
    UPDATE employee SET employee_no = :employee_no, full_name = :full_name, email = :email, badge_no = :badge_no,
      status = CAST(:status AS employee_status), designation = :designation, department_id = :department_id,
      location_id = :location_id, manager_id = CAST(:manager_id AS bigint),
      default_shift_id = CAST(:default_shift_id AS int), hired_on = CAST(:hired_on AS date),
      left_on = CAST(:left_on AS date), version = version + 1
    WHERE id = CAST(:id AS bigint)"""),
)
_POSTINGS: Final = Query(
    "postings_for_update",
    text("""
    SELECT employee_id, valid_from, valid_to, department_id, location_id, manager_id FROM employee_posting
    WHERE employee_id = CAST(:id AS bigint) ORDER BY valid_from FOR UPDATE"""),
)
_CLEAR: Final = Query("postings_clear", text("DELETE FROM employee_posting WHERE employee_id = CAST(:id AS bigint)"))
_POST: Final = Query(
    "postings_insert",
    text("""
    INSERT INTO employee_posting (employee_id, valid_from, valid_to, department_id, location_id, manager_id)
    SELECT CAST(:id AS bigint), valid_from, valid_to, department_id, location_id, manager_id
    FROM unnest(CAST(:firsts AS date[]), CAST(:lasts AS date[]), CAST(:departments AS int[]), CAST(:locations AS int[]),
                CAST(:managers AS bigint[])) AS p (valid_from, valid_to, department_id, location_id, manager_id)"""),
)
_MANAGED_BY: Final = Query(
    "managers_above",
    text("""
    WITH RECURSIVE above (id, manager_id, depth) AS (
      SELECT id, manager_id, 1 FROM employee WHERE id = CAST(:id AS bigint)
      UNION ALL SELECT e.id, e.manager_id, depth + 1 FROM employee e JOIN above a ON e.id = a.manager_id
      WHERE a.depth < 100)
    SELECT id FROM above"""),
)
_LOCK_LINES: Final = Query("manager_lock", text("SELECT pg_advisory_xact_lock(7399)"))


async def employee_for_update(connection: WriteConnection, employee_id: EmployeeId) -> EmployeeRow | None:
    """An employee, locked against other changes."""
    return await connection.first(_FOR_UPDATE, EmployeeRow, id=employee_id)


async def employee_having(connection: WriteConnection, name: str, value: str) -> EmployeeRow | None:
    """Who has a number, an email address or a badge."""
    return await connection.first(_HAVING[name], EmployeeRow, value=value)


async def insert_employee(connection: WriteConnection, values: Mapping[str, Any]) -> EmployeeId:
    """Add an employee; returns the id."""
    [(employee_id,)] = await connection.records(_INSERT, **values)
    return EmployeeId(employee_id)


async def update_employee(connection: WriteConnection, employee_id: EmployeeId, values: Mapping[str, Any]) -> None:
    """Write every value of an employee; the version rises."""
    await connection.execute(_UPDATE, id=employee_id, **values)


async def postings_for_update(connection: WriteConnection, employee_id: EmployeeId) -> list[PostingRow]:
    """The postings of an employee by date, locked."""
    return await connection.all(_POSTINGS, PostingRow, id=employee_id)


async def replace_postings(connection: WriteConnection, employee_id: EmployeeId, postings: list[PostingRow]) -> None:
    """Make these the postings of an employee."""
    await connection.execute(_CLEAR, id=employee_id)
    await connection.execute(
        _POST,
        id=employee_id,
        firsts=[row.valid_from for row in postings],
        lasts=[row.valid_to for row in postings],
        departments=[row.department_id for row in postings],
        locations=[row.location_id for row in postings],
        managers=[row.manager_id for row in postings],
    )


async def reports_to(connection: WriteConnection, employee_id: EmployeeId, other: EmployeeId) -> bool:
    """Whether `employee_id` is `other` or reports to them through any number of managers.

    Takes a lock, so that two changes cannot close a circle between them.
    """
    await connection.records(_LOCK_LINES)
    return other in {row[0] for row in await connection.records(_MANAGED_BY, id=employee_id)}
