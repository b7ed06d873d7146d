"""Employees: by id or number, in keyset pages, below a department or manager, and counted."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.keyset import Page, Term, Window, add_bounds, cursor_column, order_by, page_of
from db.rows import EmployeeRow
from db.where import Where, literal, statement, within_reach
from domain.enums import EmployeeStatus
from domain.ids import DepartmentId, EmployeeId, LocationId, ShiftId
from domain.permission import Reach

MOST_COUNTED: Final = 100_000

COLUMNS: Final = ", ".join(
    "coalesce(e.time_zone, l.time_zone)" if name == "time_zone" else f"e.{name}"
    for name in EmployeeRow.__struct_fields__
)
FROM: Final = "employee e JOIN location l ON l.id = e.location_id"
TERMS: Final = {
    "NAME": Term("e.full_name", "text"),
    "EMPLOYEE_NO": Term("e.employee_no", "citext"),
    "HIRED_ON": Term("e.hired_on", "date"),
    "DEPARTMENT": Term("(SELECT d.name FROM department d WHERE d.id = e.department_id)", "text"),
}
ID: Final = Term("e.id", "bigint")
BY_NAME: Final = (TERMS["NAME"], ID)
Parent = Literal["department", "manager"]

_BY_ID = Query("employee_by_id", text(f"SELECT {COLUMNS} FROM {FROM} WHERE e.id = ANY(CAST(:ids AS bigint[]))"))
_BY_NO = Query(
    "employee_by_no", text(f"SELECT {COLUMNS} FROM {FROM} WHERE e.employee_no = ANY(CAST(:numbers AS citext[]))")
)


class EmployeeFilter(msgspec.Struct, frozen=True):
    """Which employees: within `reach`, and as every other field that is given says; `on_date` is for the shifts."""

    reach: Reach
    search: str | None = None
    department_ids: tuple[DepartmentId, ...] | None = None
    location_ids: tuple[LocationId, ...] | None = None
    shift_ids: tuple[ShiftId, ...] | None = None
    on_date: date | None = None
    manager_id: EmployeeId | None = None
    employee_ids: tuple[EmployeeId, ...] | None = None
    statuses: tuple[EmployeeStatus, ...] | None = None
    hired_from: date | None = None
    hired_to: date | None = None
    employed_from: date | None = None
    employed_to: date | None = None


class EmployeePageKey(msgspec.Struct, frozen=True):
    """A window of a filtered list; `order` is (name of a term, descending) in turn, ties go by id."""

    filter: EmployeeFilter
    order: tuple[tuple[str, bool], ...]
    window: Window


class EmployeesBelowKey(msgspec.Struct, frozen=True):
    """A window of the employees right below a department or a manager, by name, or by id when names are not shown."""

    parent: Parent
    parent_id: int
    reach: Reach
    by_name: bool
    window: Window


def employee_where(filter_: EmployeeFilter) -> Where:
    """The conditions of a filter over `employee e`."""
    where = Where()
    within_reach(where, filter_.reach)
    if filter_.search:
        where.add(
            "(e.full_name || ' ' || e.employee_no::text || ' ' || coalesce(e.email::text, '')) ILIKE :search",
            search=f"%{literal(filter_.search)}%",
        )
    if filter_.department_ids is not None:
        where.add("e.department_id = ANY(CAST(:departments AS int[]))", departments=filter_.department_ids)
    if filter_.location_ids is not None:
        where.add("e.location_id = ANY(CAST(:locations AS int[]))", locations=filter_.location_ids)
    if filter_.shift_ids is not None:
        where.add(
            "(e.default_shift_id = ANY(CAST(:shifts AS int[])) OR EXISTS (SELECT FROM shift_assignment a"
            " WHERE a.employee_id = e.id AND a.shift_id = ANY(CAST(:shifts AS int[])) AND a.valid_from <= :on_date"
            " AND (a.valid_to IS NULL OR a.valid_to >= :on_date)))",
            shifts=filter_.shift_ids,
            on_date=filter_.on_date,
        )
    if filter_.manager_id is not None:
        where.add("e.manager_id = CAST(:manager AS bigint)", manager=filter_.manager_id)
    if filter_.employee_ids is not None:
        where.add("e.id = ANY(CAST(:employees AS bigint[]))", employees=filter_.employee_ids)
    if filter_.statuses is not None:
        where.add("e.status = ANY(CAST(:statuses AS employee_status[]))", statuses=filter_.statuses)
    _add_dates(where, filter_)
    return where


def _add_dates(where: Where, filter_: EmployeeFilter) -> None:
    if filter_.hired_from is not None:
        where.add(
            "e.hired_on BETWEEN :hired_from AND :hired_to", hired_from=filter_.hired_from, hired_to=filter_.hired_to
        )
    if filter_.employed_from is not None:
        where.add(
            "e.hired_on <= :employed_to AND (e.left_on IS NULL OR e.left_on >= :employed_from)",
            employed_from=filter_.employed_from,
            employed_to=filter_.employed_to,
        )


async def employees_by_id(connection: ReadConnection, ids: Sequence[EmployeeId]) -> dict[EmployeeId, EmployeeRow]:
    """Employees by id."""
    return {row.id: row for row in await connection.all(_BY_ID, EmployeeRow, ids=ids)}


async def employees_by_no(connection: ReadConnection, numbers: Sequence[str]) -> dict[str, EmployeeRow]:
    """Employees by number in lower case, as `numbers` are."""
    return {row.employee_no.lower(): row for row in await connection.all(_BY_NO, EmployeeRow, numbers=numbers)}


def page_terms(order: Sequence[tuple[str, bool]]) -> tuple[Term, ...]:
    """The terms of an order; ties go by id, in the direction of the last term."""
    terms = [msgspec.structs.replace(TERMS[name], descending=descending) for name, descending in order]
    return (*terms, msgspec.structs.replace(ID, descending=terms[-1].descending if terms else False))


async def employee_pages(
    connection: ReadConnection, keys: Sequence[EmployeePageKey]
) -> dict[EmployeePageKey, Page[EmployeeRow]]:
    """Pages of filtered lists; one statement a list, since a request asks for one."""
    return {key: await _page(connection, key) for key in keys}


async def _page(connection: ReadConnection, key: EmployeePageKey) -> Page[EmployeeRow]:
    where, terms, window = employee_where(key.filter), page_terms(key.order), key.window
    add_bounds(where, terms, window)
    sql = (
        f"SELECT {cursor_column(terms)}, {COLUMNS} FROM {FROM} WHERE {where.sql}"
        f" ORDER BY {order_by(terms, window)} LIMIT CAST(:rows AS int)"
    )
    records = await connection.records(statement("employees", sql), **where.parameters, rows=window.limit + 1)
    return page_of(records, EmployeeRow, window)


async def employees_below(
    connection: ReadConnection, keys: Sequence[EmployeesBelowKey]
) -> dict[EmployeesBelowKey, Page[EmployeeRow]]:
    """Pages below many parents: one statement for all parents that are asked the same."""
    found: dict[EmployeesBelowKey, Page[EmployeeRow]] = {}
    for example, parents in _by_question(keys).items():
        where, window = Where(), example.window
        within_reach(where, example.reach)
        terms = BY_NAME if example.by_name else (ID,)
        add_bounds(where, terms, window)
        sql = (
            f"SELECT p.id, page.* FROM unnest(CAST(:parents AS bigint[])) AS p (id) CROSS JOIN LATERAL ("
            f"SELECT {cursor_column(terms)}, {COLUMNS} FROM {FROM} WHERE e.{example.parent}_id = p.id AND {where.sql}"
            f" ORDER BY {order_by(terms, window)} LIMIT CAST(:rows AS int)) AS page"
        )
        query = statement(f"employees_below_{example.parent}", sql)
        records = await connection.records(query, **where.parameters, parents=parents, rows=window.limit + 1)
        of_parent = defaultdict(list)
        for parent_id, *record in records:
            of_parent[parent_id].append(tuple(record))
        for parent_id in parents:
            key = msgspec.structs.replace(example, parent_id=parent_id)
            found[key] = page_of(of_parent[parent_id], EmployeeRow, window)
    return found


def _by_question(keys: Sequence[EmployeesBelowKey]) -> dict[EmployeesBelowKey, list[int]]:
    """The parents of keys that differ in nothing else."""
    parents = defaultdict(list)
    for key in keys:
        parents[msgspec.structs.replace(key, parent_id=0)].append(key.parent_id)
    return parents


async def employee_counts(connection: ReadConnection, filters: Sequence[EmployeeFilter]) -> dict[EmployeeFilter, int]:
    """How many employees each filter finds, at most MOST_COUNTED + 1."""
    found = {}
    for filter_ in filters:
        where = employee_where(filter_)
        sql = f"SELECT count(*) FROM (SELECT FROM employee e WHERE {where.sql} LIMIT {MOST_COUNTED + 1}) AS counted"
        [(found[filter_],)] = await connection.records(statement("employee_count", sql), **where.parameters)
    return found


async def counts_below(connection: ReadConnection, keys: Sequence[EmployeesBelowKey]) -> dict[EmployeesBelowKey, int]:
    """How many employees are right below each parent; the window does not matter."""
    found: dict[EmployeesBelowKey, int] = {}
    for example, parents in _by_question(keys).items():
        where = Where()
        within_reach(where, example.reach)
        column = f"e.{example.parent}_id"
        sql = (
            f"SELECT {column}, count(*) FROM employee e"
            f" WHERE {column} = ANY(CAST(:parents AS bigint[])) AND {where.sql} GROUP BY 1"
        )
        query = statement(f"count_below_{example.parent}", sql)
        for parent_id, number in await connection.records(query, **where.parameters, parents=parents):
            found[msgspec.structs.replace(example, parent_id=parent_id)] = number
    return found
