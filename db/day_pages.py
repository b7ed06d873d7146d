"""Days in keyset pages, counted, and of one employee in a range."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.day_filter import DayFilter, day_where
from db.days import DAY_COLUMNS
from db.employees import MOST_COUNTED
from db.keyset import Page, Term, Window, add_bounds, cursor_column, order_by, page_of
from db.rows import DayRow
from db.where import statement
from domain.ids import EmployeeId

_COLUMNS: Final = ", ".join(f"d.{name}" for name in DAY_COLUMNS)
TERMS: Final = {
    "WORK_DATE": Term("d.work_date", "date"),
    "EMPLOYEE_NO": Term("e.employee_no", "citext"),
    "EMPLOYEE_NAME": Term("e.full_name", "text"),
    "LATE_MINUTES": Term("d.late_minutes", "smallint"),
    "WORKED_MINUTES": Term("d.worked_minutes", "smallint"),
    "OVERTIME_MINUTES": Term("d.overtime_minutes", "smallint"),
    "FIRST_IN": Term("coalesce(d.first_in, CAST('infinity' AS timestamptz))", "timestamptz"),
}
_OF_EMPLOYEE: Final = ("EMPLOYEE_NO", "EMPLOYEE_NAME")
_EMPLOYEE: Final = Term("d.employee_id", "bigint")


class DayPageKey(msgspec.Struct, frozen=True):
    """A window of a filtered list; `order` is (name of a term, descending) in turn, ties go by date and employee."""

    filter: DayFilter
    order: tuple[tuple[str, bool], ...]
    window: Window


class DaysOfEmployeeKey(msgspec.Struct, frozen=True):
    """The days of one employee from `first` to `last`."""

    employee_id: EmployeeId
    first: date
    last: date


def page_terms(order: Sequence[tuple[str, bool]]) -> tuple[Term, ...]:
    """The terms of an order; ties go by date and employee, in the direction of the last term."""
    terms = [msgspec.structs.replace(TERMS[name], descending=descending) for name, descending in order]
    descending = terms[-1].descending if terms else True
    ties = [] if any(name == "WORK_DATE" for name, _ in order) else [TERMS["WORK_DATE"]]
    return (*terms, *(msgspec.structs.replace(term, descending=descending) for term in (*ties, _EMPLOYEE)))


async def day_pages(connection: ReadConnection, keys: Sequence[DayPageKey]) -> dict[DayPageKey, Page[DayRow]]:
    """Pages of filtered lists; one statement a list, since a request asks for one."""
    return {key: await _page(connection, key) for key in keys}


async def _page(connection: ReadConnection, key: DayPageKey) -> Page[DayRow]:
    where, terms, window = day_where(key.filter), page_terms(key.order), key.window
    add_bounds(where, terms, window)
    joined = any(name in _OF_EMPLOYEE for name, _ in key.order)
    sql = (
        f"SELECT {cursor_column(terms)}, {_COLUMNS} FROM attendance_day d"
        f"{' JOIN employee e ON e.id = d.employee_id' if joined else ''}"
        f" WHERE {where.sql} ORDER BY {order_by(terms, window)} LIMIT CAST(:rows AS int)"
    )
    records = await connection.records(statement("attendance", sql), **where.parameters, rows=window.limit + 1)
    return page_of(records, DayRow, window)


async def day_counts(connection: ReadConnection, filters: Sequence[DayFilter]) -> dict[DayFilter, int]:
    """How many days each filter finds, at most MOST_COUNTED + 1."""
    found = {}
    for filter_ in filters:
        if filter_.by_slice:
            sql = "SELECT coalesce(sum(d.days), 0) FROM attendance_stat d WHERE {}"
        else:
            sql = f"SELECT count(*) FROM (SELECT FROM attendance_day d WHERE {{}} LIMIT {MOST_COUNTED + 1}) AS counted"
        where = day_where(filter_)
        query = statement("attendance_count", sql.format(where.sql))
        [(found[filter_],)] = await connection.records(query, **where.parameters)
    return found


_OF_EMPLOYEES = Query(
    "days_of_employee",
    text(f"""
    SELECT k.number, {_COLUMNS}
    FROM unnest(CAST(:employees AS bigint[]), CAST(:firsts AS date[]), CAST(:lasts AS date[]))
      WITH ORDINALITY AS k (employee_id, first, last, number)
    JOIN attendance_day d ON d.employee_id = k.employee_id AND d.work_date BETWEEN k.first AND k.last
    WHERE d.work_date BETWEEN CAST(:first AS date) AND CAST(:last AS date)
    ORDER BY k.number, d.work_date DESC"""),
)


async def days_of_employees(
    connection: ReadConnection, keys: Sequence[DaysOfEmployeeKey]
) -> dict[DaysOfEmployeeKey, tuple[DayRow, ...]]:
    """The days of each key, the latest first: one statement, however many employees."""
    records = await connection.records(
        _OF_EMPLOYEES,
        employees=[key.employee_id for key in keys],
        firsts=[key.first for key in keys],
        lasts=[key.last for key in keys],
        first=min(key.first for key in keys),  # lets partitions be left out
        last=max(key.last for key in keys),
    )
    rows = msgspec.convert([record[1:] for record in records], list[DayRow], strict=False)
    found = defaultdict(list)
    for record, row in zip(records, rows, strict=True):
        found[keys[record[0] - 1]].append(row)
    return {key: tuple(of_key) for key, of_key in found.items()}
