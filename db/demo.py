"""The statements that fill a database with the demo company; what stands in it is drawn in ops/demo."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, exists, insert, not_, or_, select, text, update
from sqlalchemy.types import DateTime

from db import tables
from db.connection import Query, ReadConnection, WriteConnection
from db.parameters import day, key, number
from db.rows import Row, columns_of
from domain.ids import DepartmentId, EmployeeId

DEMO_LOCK: Final = 7398
ROWS_AT_ONCE: Final = 2_000

_COMPANY_TABLE: Final = tables.demo_company
_DRAWN: Final = (
    "attendance_day, attendance_stat, punch, leave_request, roster_day, shift_assignment, employee_posting, employee,"
    " device, department, holiday, location, work_week_off, work_week, shift_rule, shift, leave_type, demo_company"
)
_NUMBERED: Final = (
    *("work_week", "location", "department", "shift", "shift_rule", "employee", "device", "leave_type"),
    *("app_user", "role_grant"),
)


class DemoCompanyRow(Row, frozen=True, array_like=True):
    """What the demo company was made from; while `filled_until` is None its filling is under way or was interrupted."""

    seed: int
    employees: int
    first_date: date
    last_date: date
    planned_until: date
    filled_until: datetime | None


_ORGANISATION_TABLES: Final = (tables.department, tables.location, tables.work_week, tables.shift)
_INSTANT: Final = DateTime(timezone=True)
_IS_INHABITED = Query(
    "demo_is_inhabited",
    select(or_(*(exists(select(table.c.id)) for table in (tables.employee, tables.app_user, *_ORGANISATION_TABLES)))),
)
_HAS_USERS = Query("demo_has_users", select(exists(select(tables.app_user.c.id))))
_COMPANY = Query("demo_company", select(*columns_of(_COMPANY_TABLE, DemoCompanyRow)))
_BEGIN = Query(
    "demo_begin",
    insert(_COMPANY_TABLE).values(
        one=True,
        seed=key("seed"),
        employees=number("employees"),
        first_date=day("first_date"),
        last_date=day("last_date"),
        planned_until=day("planned_until"),
    ),
)
_ADVANCE = Query(
    "demo_advance",
    update(_COMPANY_TABLE).values(
        planned_until=day("new_planned_until"), filled_until=bindparam("new_filled_until", type_=_INSTANT)
    ),
)
_LOCK = Query("demo_lock", text("SELECT pg_advisory_xact_lock(:key)"))
_TRY_LOCK = Query("demo_try_lock", text("SELECT pg_try_advisory_xact_lock(:key)"))
_PARTITIONS = Query(
    "demo_partitions", text("SELECT make_partitions(:first, CAST(CAST(:last AS date) + interval '3 months' AS date))")
)
_PUNCH_NUMBERS = Query(
    "demo_punch_numbers",
    text("SELECT nextval(pg_get_serial_sequence('punch', 'id')) FROM generate_series(1, CAST(:count AS int))"),
)
_LEADERS = Query(
    "demo_leaders",
    text("""
    UPDATE department SET manager_id = leads.employee
    FROM unnest(CAST(:departments AS int[]), CAST(:employees AS bigint[])) AS leads (department, employee)
    WHERE id = leads.department"""),
)
_UNSETTLED = Query(
    "demo_unsettled",
    select(tables.attendance_day.c.employee_id)
    .where(
        tables.attendance_day.c.settles_at <= bindparam("now", type_=_INSTANT),
        not_(tables.attendance_day.c.locked),
    )
    .distinct(),
)
_USER_EMPLOYEES = Query(
    "demo_user_employees",
    select(tables.app_user.c.employee_id).where(tables.app_user.c.employee_id.is_not(None)),
)
_ASSIGN_MISSING = Query(
    "demo_assign_missing",
    text("""
    INSERT INTO shift_assignment (employee_id, shift_id, valid_from, valid_to, iso_weekdays)
    SELECT employee_id, shift_id, valid_from, valid_to, iso_weekdays
    FROM json_populate_recordset(NULL::shift_assignment, CAST(:rows AS json)) AS new
    WHERE EXISTS (SELECT FROM employee e WHERE e.id = new.employee_id) AND NOT EXISTS (
      SELECT FROM shift_assignment old WHERE old.employee_id = new.employee_id
      AND old.iso_weekdays & new.iso_weekdays <> 0
      AND daterange(old.valid_from, old.valid_to, '[]') && daterange(new.valid_from, new.valid_to, '[]'))"""),
)


async def is_inhabited(connection: ReadConnection) -> bool:
    """Whether there are employees, users, or places, departments and shifts for them."""
    return bool(await connection.first(_IS_INHABITED, bool))


async def has_users(connection: ReadConnection) -> bool:
    """Whether anybody can sign in."""
    return bool(await connection.first(_HAS_USERS, bool))


async def is_interrupted(connection: ReadConnection) -> bool:
    """Whether a filling began here and never ended."""
    company = await demo_company(connection)
    return company is not None and company.filled_until is None and not await has_users(connection)


async def demo_company(connection: ReadConnection) -> DemoCompanyRow | None:
    """What the demo company here was made from; None without one."""
    return await connection.first(_COMPANY, DemoCompanyRow)


async def lock_demo(connection: WriteConnection, *, wait: bool) -> bool:
    """Be the only one who fills until the transaction ends, however long it idles; False when another one is at it."""
    await connection.script("SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
    if wait:
        await connection.records(_LOCK, key=DEMO_LOCK)
        return True
    return bool(await connection.first(_TRY_LOCK, bool, key=DEMO_LOCK))


async def relax(connection: WriteConnection) -> None:
    """Let the transaction take its time, and its commit return before the disk has it."""
    await connection.script("SET LOCAL statement_timeout = 0; SET LOCAL synchronous_commit = off")


async def clear_demo(connection: WriteConnection) -> None:
    """Clear away what an interrupted filling left."""
    await connection.script(f"TRUNCATE {_DRAWN} RESTART IDENTITY CASCADE")


async def begin_demo(connection: WriteConnection, company: DemoCompanyRow) -> None:
    """Note what is being filled in."""
    await connection.execute(_BEGIN, **msgspec.structs.asdict(company))
    await make_partitions(connection, company.first_date, company.last_date)


async def advance_demo(connection: WriteConnection, planned_until: date, filled_until: datetime) -> None:
    """Note how far the company is filled."""
    await connection.execute(_ADVANCE, new_planned_until=planned_until, new_filled_until=filled_until)


async def make_partitions(connection: WriteConnection, first: date, last: date) -> None:
    """The partitions of the months from `first` to three months after `last`."""
    await connection.records(_PARTITIONS, first=first, last=last)


async def insert_rows(connection: WriteConnection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Add rows of one shape; those that a constraint already knows are left out."""
    left = iter(rows)
    while chunk := list(islice(left, ROWS_AT_ONCE)):
        await connection.execute(_insert(table, tuple(chunk[0])), rows=msgspec.json.encode(chunk).decode())


async def assign_missing(connection: WriteConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add shift assignments where none stands in their way."""
    if rows:
        await connection.execute(_ASSIGN_MISSING, rows=msgspec.json.encode(rows).decode())


async def name_leaders(connection: WriteConnection, leaders: Mapping[DepartmentId, EmployeeId]) -> None:
    """Say who leads each department."""
    await connection.execute(_LEADERS, departments=list(leaders), employees=list(leaders.values()))


async def finish_ids(connection: WriteConnection) -> None:
    """Let new rows get numbers after those that were filled in, and let the planner know the tables."""
    steps = [
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))" for table in _NUMBERED
    ]
    await connection.script("; ".join([*steps, f"ANALYZE {_DRAWN}, app_user, role_grant"]))


async def unsettled(connection: ReadConnection, now: datetime) -> set[EmployeeId]:
    """Who has days that are pending although their time is over."""
    return {EmployeeId(row[0]) for row in await connection.records(_UNSETTLED, now=now)}


async def user_employees(connection: ReadConnection) -> set[EmployeeId]:
    """The employees who can sign in."""
    return {EmployeeId(row[0]) for row in await connection.records(_USER_EMPLOYEES)}


async def punch_numbers(connection: WriteConnection, count: int) -> Iterator[int]:
    """Numbers for the ids of new punches."""
    return iter([number for (number,) in await connection.records(_PUNCH_NUMBERS, count=count)])


def _insert(table: str, columns: Sequence[str]) -> Query:
    names = ", ".join(columns)
    return Query(
        f"demo_insert_{table}",
        text(
            f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE"
            f" SELECT {names} FROM json_populate_recordset(NULL::{table}, CAST(:rows AS json)) ON CONFLICT DO NOTHING"
        ),
    )
