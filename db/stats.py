"""Statistics: sums of days by any dimensions, from the roll-up where it can answer, else from the days."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

from db.connection import ReadConnection
from db.day_filter import DayFilter, day_where
from db.roll_up import SUM_OF_DAYS, SUM_OF_ROLL_UP
from db.rows import EXCEPTIONS
from db.where import Where, statement, within_reach
from domain.attendance.metrics import SUM_NAMES, Sums
from domain.ids import DepartmentId
from domain.permission import MIN_GROUP_SIZE, Reach


class Grouping(NamedTuple):
    """What days are grouped by, null where a day has none, and how a group of it is written, as text."""

    expression: str
    written: str = "CAST({} AS text)"


_DAY: Final = "CAST(d.work_date AS timestamp)"
GROUPING_BY_DIMENSION: Final = {
    "DATE": Grouping("d.work_date"),
    "WEEK": Grouping(f"date_trunc('week', {_DAY})", "to_char({}, 'IYYY-\"W\"IW')"),
    "MONTH": Grouping(f"date_trunc('month', {_DAY})", "to_char({}, 'YYYY-MM')"),
    "WEEKDAY": Grouping("extract(isodow FROM d.work_date)"),
    "HOUR_OF_FIRST_IN": Grouping("to_char(d.first_in AT TIME ZONE d.time_zone, 'HH24')"),
    "DEPARTMENT": Grouping("d.department_id"),
    "LOCATION": Grouping("d.location_id"),
    "SHIFT": Grouping("nullif(d.shift_id, 0)"),
    "MANAGER": Grouping("d.manager_id"),
    "EMPLOYEE": Grouping("d.employee_id"),
    "EMPLOYMENT_TYPE": Grouping("(SELECT e.employment_type FROM employee e WHERE e.id = d.employee_id)"),
    "STATUS": Grouping("d.status"),
    "WORK_MODE": Grouping("d.work_mode"),
    "EXCEPTION": Grouping("exception.label"),
    "LEAVE_TYPE": Grouping("d.leave_type_id"),
}
"""Groups are written as text only when they are found: a text for each day takes four times as long."""
BY_SLICE: Final = frozenset({"DATE", "WEEK", "MONTH", "WEEKDAY", "DEPARTMENT", "LOCATION", "SHIFT"})
_LABELS: Final = ", ".join(f"({bit}, '{exception}')" for bit, exception in enumerate(EXCEPTIONS))
_EXCEPTIONS: Final = f"LEFT JOIN (VALUES {_LABELS}) AS exception (bit, label) ON d.exceptions >> exception.bit & 1 = 1"

_SCHEDULED: Final = "(present_halves + leave_halves + absent_halves)"
EXPRESSION_BY_METRIC: Final = {
    "HEADCOUNT": "headcount",
    "SCHEDULED_DAYS": f"{_SCHEDULED} / 2.0",
    "PRESENT_DAYS": "present_halves / 2.0",
    "ABSENT_DAYS": "absent_halves / 2.0",
    "LEAVE_DAYS": "leave_halves / 2.0",
    "LATE_COUNT": "late_count",
    "LATE_HOURS": "late_minutes / 60.0",
    "EARLY_EXIT_COUNT": "early_exit_count",
    "INCOMPLETE_COUNT": "incomplete_count",
    "WORKED_HOURS": "worked_minutes / 60.0",
    "EXPECTED_HOURS": "expected_minutes / 60.0",
    "OVERTIME_HOURS": "overtime_minutes / 60.0",
    "ATTENDANCE_RATE": f"1.0 * present_halves / nullif({_SCHEDULED}, 0)",
    "ABSENTEEISM_RATE": f"1.0 * absent_halves / nullif({_SCHEDULED}, 0)",
    "PUNCTUALITY_RATE": "1.0 * punctual_halves / nullif(present_halves, 0)",
    "UTILISATION_RATE": "1.0 * worked_minutes / nullif(expected_minutes, 0)",
}
"""The metrics over the sums of a group, as they are ordered by and compared with bounds."""

GroupKeys = tuple[str | None, ...]


class Bound(msgspec.Struct, frozen=True):
    """Keeps groups whose metric lies between `gte` and `lte`, where given; a rate over nothing never does."""

    metric: str
    gte: float | None = None
    lte: float | None = None


class StatKey(msgspec.Struct, frozen=True):
    """Sums of the days of a filter by `group_by`; `order` is (metric, descending) or by the groups themselves.

    With `named`, the other employees of a group count only where they are at least MIN_GROUP_SIZE.
    """

    filter: DayFilter
    group_by: tuple[str, ...] = ()
    having: tuple[Bound, ...] = ()
    order: tuple[str, bool] | None = None
    limit: int = 500
    named: Reach | None = None

    @property
    def counts_heads(self) -> bool:
        """Whether the number of employees decides which groups are shown or in which order."""
        named = {bound.metric for bound in self.having} | ({self.order[0]} if self.order else set())
        return self.named is not None or "HEADCOUNT" in named

    @property
    def by_slice(self) -> bool:
        """Whether the roll-up can answer."""
        return self.filter.by_slice and not self.counts_heads and BY_SLICE.issuperset(self.group_by)


class Group(msgspec.Struct, frozen=True, array_like=True):
    """One group: its keys in the order of `group_by`, null where a day has none, and its sums."""

    keys: GroupKeys
    sums: Sums


class Groups(msgspec.Struct, frozen=True, array_like=True):
    """The groups of a StatKey, and whether there are more than its limit."""

    groups: tuple[Group, ...]
    truncated: bool


async def stats(connection: ReadConnection, keys: Sequence[StatKey]) -> dict[StatKey, Groups]:
    """The groups of each key, one statement each."""
    return {key: await _stat(connection, key) for key in keys}


async def _stat(connection: ReadConnection, key: StatKey) -> Groups:
    sums = SUM_OF_ROLL_UP if key.by_slice else SUM_OF_DAYS
    columns = [f"{sums[name]} AS {name}" for name in SUM_NAMES]
    if key.counts_heads:
        columns.append("count(DISTINCT d.employee_id) AS headcount")
    where = day_where(key.filter)
    table = "attendance_stat" if key.by_slice else "attendance_day"
    inner = _grouped(key.group_by, columns, where, table)
    if key.named is not None:
        inner = _in_groups(key.group_by, columns, where, key.named)
    outer = Where()
    for number, bound in enumerate(key.having):
        _add_bound(outer, bound, number)
    group_names = _group_names(key.group_by)
    order = [f"{name} NULLS LAST" for name in group_names]
    if key.order:
        metric, descending = key.order
        order.insert(0, f"{EXPRESSION_BY_METRIC[metric]} {'DESC' if descending else 'ASC'} NULLS LAST")
    sql = (
        f"SELECT {', '.join([*_written(key.group_by), *SUM_NAMES])} FROM ({inner}) AS summed WHERE {outer.sql}"
        f"{' ORDER BY ' + ', '.join(order) if order else ''} LIMIT CAST(:rows AS int)"
    )
    parameters = {**where.parameters, **outer.parameters, "rows": key.limit + 1}
    records = await connection.records(statement("stats", sql), **parameters)
    width = len(key.group_by)
    groups = [Group(record[:width], Sums(*map(int, record[width:]))) for record in records[: key.limit]]
    return Groups(tuple(groups), len(records) > key.limit)


def _grouped(group_by: Sequence[str], columns: Iterable[str], where: Where, table: str) -> str:
    chosen = [GROUPING_BY_DIMENSION[name].expression for name in group_by]
    return _summed(chosen, _group_names(group_by), columns, where, table, exceptions="EXCEPTION" in group_by)


def _in_groups(group_by: Sequence[str], columns: Sequence[str], where: Where, named: Reach) -> str:
    """Like _grouped over days, `headcount` among the columns; adds the parameters of `named` to `where`.

    Each group is summed up twice, those of `named` and the others, and put together without others who are too few.
    """
    inside = Where()
    within_reach(inside, named, "n")
    chosen = [GROUPING_BY_DIMENSION[name].expression for name in group_by]
    chosen.append(f"d.employee_id IN (SELECT n.id FROM employee n WHERE {inside.sql})")
    names = _group_names(group_by)
    parts = _summed(chosen, [*names, "named"], columns, where, "attendance_day", exceptions="EXCEPTION" in group_by)
    where.parameters |= inside.parameters
    added = (f"sum({name}) AS {name}" for name in (column.rpartition(" AS ")[2] for column in columns))
    return (
        f"SELECT {', '.join([*names, *added])} FROM ({parts}) AS part"
        f" WHERE named OR headcount >= {MIN_GROUP_SIZE} GROUP BY {', '.join(names)}"
    )


def _summed(
    chosen: Sequence[str], names: Sequence[str], columns: Iterable[str], where: Where, table: str, *, exceptions: bool
) -> str:
    selected = [f"{expression} AS {name}" for expression, name in zip(chosen, names, strict=True)]
    numbers = ", ".join(str(number + 1) for number in range(len(chosen)))
    return (
        f"SELECT {', '.join([*selected, *columns])} FROM {table} d{f' {_EXCEPTIONS}' if exceptions else ''}"
        f" WHERE {where.sql}{' GROUP BY ' + numbers if numbers else ''}"
    )


def _group_names(group_by: Sequence[str]) -> list[str]:
    return [f"group_{number}" for number in range(len(group_by))]


def _written(group_by: Sequence[str]) -> list[str]:
    """The columns of the groups as text, under their own names."""
    return [
        f"{GROUPING_BY_DIMENSION[dimension].written.format(name)} AS {name}"
        for dimension, name in zip(group_by, _group_names(group_by), strict=True)
    ]


def _add_bound(where: Where, bound: Bound, number: int) -> None:
    expression = EXPRESSION_BY_METRIC[bound.metric]
    if bound.gte is not None:
        where.add(f"{expression} >= CAST(:gte_{number} AS float8)", **{f"gte_{number}": bound.gte})
    if bound.lte is not None:
        where.add(f"{expression} <= CAST(:lte_{number} AS float8)", **{f"lte_{number}": bound.lte})


class HeadcountKey(msgspec.Struct, frozen=True):
    """Distinct employees of the days of a filter by `group_by`; `named` as in StatKey."""

    filter: DayFilter
    group_by: tuple[str, ...] = ()
    named: Reach | None = None


class Headcount(msgspec.Struct, frozen=True, array_like=True):
    """How many employees a group has."""

    keys: GroupKeys
    employees: int


async def headcounts(
    connection: ReadConnection, keys: Sequence[HeadcountKey]
) -> dict[HeadcountKey, tuple[Headcount, ...]]:
    """The headcounts of each key; asked only when the field is selected, since it needs the days themselves."""
    found = {}
    alike: defaultdict[DayFilter, list[HeadcountKey]] = defaultdict(list)
    for key in keys:
        if key.group_by or key.filter.department_ids is None:
            found[key] = await _headcount(connection, key)
        else:
            alike[msgspec.structs.replace(key.filter, department_ids=None)].append(key)
    for filter_, of_departments in alike.items():
        found |= await _headcounts_of_departments(connection, filter_, of_departments)
    return found


async def _headcount(connection: ReadConnection, key: HeadcountKey) -> tuple[Headcount, ...]:
    where = day_where(key.filter)
    if key.named is None:
        counted = _distinct(key.group_by, where)
    else:
        counted = _in_groups(key.group_by, ["count(DISTINCT d.employee_id) AS headcount"], where, key.named)
    sql = f"SELECT {', '.join([*_written(key.group_by), 'headcount'])} FROM ({counted}) AS counted"
    records = await connection.records(statement("headcount", sql), **where.parameters)
    return tuple(Headcount(record[:-1], int(record[-1])) for record in records)


def _distinct(group_by: Sequence[str], where: Where) -> str:
    """Heads by group: employees are made distinct in a hash table, where count(DISTINCT) would sort every day."""
    names = _group_names(group_by)
    each = _summed(
        [*(GROUPING_BY_DIMENSION[name].expression for name in group_by), "d.employee_id"],
        [*names, "employee_id"],
        (),
        where,
        "attendance_day",
        exceptions="EXCEPTION" in group_by,
    )
    selected = ", ".join([*names, "count(*) AS headcount"])
    return f"SELECT {selected} FROM ({each}) AS each{' GROUP BY ' + ', '.join(names) if names else ''}"


async def _headcounts_of_departments(
    connection: ReadConnection, filter_: DayFilter, keys: Sequence[HeadcountKey]
) -> dict[HeadcountKey, tuple[Headcount, ...]]:
    """The heads of keys that differ only in their departments: one statement for all."""
    pairs = [(number, member) for number, key in enumerate(keys) for member in key.filter.department_ids or ()]
    where = day_where(filter_)
    query = statement(
        "headcount_of_department",
        "SELECT number, count(*) FROM (SELECT DISTINCT k.number, d.employee_id"
        " FROM unnest(CAST(:numbers AS int[]), CAST(:members AS int[])) AS k (number, member)"
        f" JOIN attendance_day d ON d.department_id = k.member WHERE {where.sql}) AS each GROUP BY number",
    )
    numbers, members = [number for number, _ in pairs], [member for _, member in pairs]
    records = await connection.records(query, **where.parameters, numbers=numbers, members=members)
    return {keys[number]: (Headcount((), heads),) for number, heads in records}


class DepartmentStatKey(msgspec.Struct, frozen=True):
    """Sums of a department and everything below it; `members` are those departments."""

    department_id: DepartmentId
    members: tuple[DepartmentId, ...]
    filter: DayFilter


async def stats_of_departments(
    connection: ReadConnection, keys: Sequence[DepartmentStatKey]
) -> dict[DepartmentStatKey, Sums]:
    """The sums of many departments: one statement for all that are asked the same."""
    found = {}
    for filter_ in dict.fromkeys(key.filter for key in keys):
        asked = [key for key in keys if key.filter == filter_]
        pairs = [(number, member) for number, key in enumerate(asked) for member in key.members]
        table, sums = ("attendance_stat", SUM_OF_ROLL_UP) if filter_.by_slice else ("attendance_day", SUM_OF_DAYS)
        where = day_where(filter_)
        sql = (
            f"SELECT k.number, {', '.join(sums[name] for name in SUM_NAMES)}"
            f" FROM unnest(CAST(:numbers AS int[]), CAST(:members AS int[])) AS k (number, member)"
            f" JOIN {table} d ON d.department_id = k.member WHERE {where.sql} GROUP BY 1"
        )
        numbers, members = zip(*pairs, strict=True)
        records = await connection.records(
            statement("stats_of_department", sql), **where.parameters, numbers=numbers, members=members
        )
        for number, *values in records:
            found[asked[number]] = Sums(*map(int, values))
    return found
