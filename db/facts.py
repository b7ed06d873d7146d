"""Everything that days are derived from, read for many employees at once: eleven statements, however many there are."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Table, bindparam, select, text
from sqlalchemy.types import DateTime

from db import tables
from db.connection import Query, ReadConnection
from db.parameters import among, day
from db.rows import (
    AssignmentRow,
    LeaveRow,
    OverrideRow,
    PostingRow,
    RosterRow,
    Row,
    ShiftRuleRow,
    WeeklyOffRow,
    columns_of,
)
from domain.attendance.calendar import Assignment, HolidayFact, RosterEntry, WeeklyOff
from domain.attendance.override import Override
from domain.attendance.plan import PunchFact, Rule
from domain.attendance.work_days import Company, EmployeeFacts, Leave, LocationFacts, PastZone, Posting, RuleVersion
from domain.enums import HalfOfDay, PunchDirection, PunchSource
from domain.ids import EmployeeId, LocationId, ShiftId

NEIGHBOURS: Final = timedelta(days=2)
"""How many dates beside a range its derivation looks at: their plans may claim its punches."""
PUNCH_MARGIN: Final = timedelta(days=4)
"""How far beside a range its punches may lie: two neighbours, a night shift with its window, and the zone."""

T = TypeVar("T")


class _PersonRow(Row, frozen=True, array_like=True):
    id: EmployeeId
    hired_on: date
    left_on: date | None
    time_zone: str | None
    default_shift_id: ShiftId | None


class _PunchFactRow(Row, frozen=True, array_like=True):
    employee_id: EmployeeId
    punched_at: datetime
    direction: PunchDirection
    id: int
    source: PunchSource
    outside_geofence: bool


class _ZoneRow(Row, frozen=True, array_like=True):
    id: LocationId
    time_zone: str
    work_week_id: int
    valid_to: tuple[date, ...]
    past_zones: tuple[str, ...]


class _HolidayFactRow(Row, frozen=True, array_like=True):
    location_id: LocationId
    date: date
    half: HalfOfDay | None
    optional: bool


def _of_employees(table: Table, row_type: type[Row], *conditions: Any) -> Query:
    columns = columns_of(table, row_type)
    return Query(f"facts_{table.name}", select(*columns).where(among(table.c.employee_id, "ids"), *conditions))


def _within(table: Table) -> Any:
    return table.c.work_date.between(day("first"), day("last"))


_PAST: Final = "FROM location_past_zone p WHERE p.location_id = l.id AND p.valid_to >= CAST(:first AS date)"
_ZONES = Query(
    "facts_location",
    text(f"""
    SELECT l.id, l.time_zone, l.work_week_id, ARRAY(SELECT p.valid_to {_PAST} ORDER BY p.valid_to),
           ARRAY(SELECT p.time_zone {_PAST} ORDER BY p.valid_to)
    FROM location l"""),
)
_WEEKLY_OFFS = Query("facts_work_week_off", select(*columns_of(tables.work_week_off, WeeklyOffRow)))
_HOLIDAYS = Query(
    "facts_holiday",
    select(*columns_of(tables.holiday, _HolidayFactRow)).where(
        tables.holiday.c.date.between(day("first"), day("last"))
    ),
)
_RULES = Query("facts_shift_rule", select(*columns_of(tables.shift_rule, ShiftRuleRow)))
_PEOPLE = Query(
    "facts_employee",
    select(*columns_of(tables.employee, _PersonRow))
    .where(among(tables.employee.c.id, "ids"))
    .order_by(tables.employee.c.id),
)
_POSTINGS = _of_employees(tables.employee_posting, PostingRow)
_ASSIGNMENTS = _of_employees(tables.shift_assignment, AssignmentRow)
_ROSTER = _of_employees(tables.roster_day, RosterRow, _within(tables.roster_day))
_OVERRIDES = _of_employees(tables.attendance_override, OverrideRow, _within(tables.attendance_override))
_LEAVES = _of_employees(
    tables.leave_request,
    LeaveRow,
    tables.leave_request.c.status == "APPROVED",
    tables.leave_request.c.end_date >= day("first"),
    tables.leave_request.c.start_date <= day("last"),
)
_PUNCHES = _of_employees(
    tables.punch,
    _PunchFactRow,
    tables.punch.c.voided_at.is_(None),
    tables.punch.c.punched_at >= bindparam("from_instant", type_=DateTime(timezone=True)),
    tables.punch.c.punched_at < bindparam("to_instant", type_=DateTime(timezone=True)),
)


async def company_facts(connection: ReadConnection, first: date, last: date) -> Company:
    """The calendars and rules that derivations of the dates from `first` to `last` need."""
    holidays: defaultdict[LocationId, dict[date, HolidayFact]] = defaultdict(dict)
    around = {"first": first - NEIGHBOURS, "last": last + NEIGHBOURS}
    for holiday in await connection.all(_HOLIDAYS, _HolidayFactRow, **around):
        holidays[holiday.location_id][holiday.date] = HolidayFact(holiday.half, holiday.optional)
    weeks = _grouped(
        await connection.all(_WEEKLY_OFFS, WeeklyOffRow),
        lambda row: row.work_week_id,
        lambda row: WeeklyOff(row.iso_weekday, row.weeks_of_month, row.half),
    )
    locations = {
        row.id: LocationFacts(
            row.time_zone,
            holidays.get(row.id, {}),
            weeks.get(row.work_week_id, ()),
            [PastZone(*past) for past in zip(row.valid_to, row.past_zones, strict=True)],
        )
        for row in await connection.all(_ZONES, _ZoneRow, **around)
    }
    rules = _grouped(await connection.all(_RULES, ShiftRuleRow), lambda row: row.shift_id, rule_version)
    return Company(locations, rules)


def rule_version(row: ShiftRuleRow) -> RuleVersion:
    """A row of a rule as the attendance rules take it."""
    rule = Rule(**{name: getattr(row, name) for name in Rule.__struct_fields__})
    return RuleVersion(row.id, row.valid_from, row.valid_to, rule)


async def employee_facts(
    connection: ReadConnection, ids: Sequence[EmployeeId], first: date, last: date
) -> list[EmployeeFacts]:
    """The facts of employees that derivations of the dates from `first` to `last` need, by id."""
    around = {"ids": ids, "first": first - NEIGHBOURS, "last": last + NEIGHBOURS}
    instants = {
        "ids": ids,
        "from_instant": datetime.combine(first - PUNCH_MARGIN, time(), UTC),
        "to_instant": datetime.combine(last + PUNCH_MARGIN, time(), UTC),
    }
    postings = _by_employee(await connection.all(_POSTINGS, PostingRow, ids=ids), _posting)
    assignments = _by_employee(await connection.all(_ASSIGNMENTS, AssignmentRow, ids=ids), _assignment)
    roster = _by_employee(await connection.all(_ROSTER, RosterRow, **around), _roster_entry)
    overrides = _by_employee(await connection.all(_OVERRIDES, OverrideRow, **around), _override)
    leaves = _by_employee(await connection.all(_LEAVES, LeaveRow, **around), _leave)
    punches = _by_employee(await connection.all(_PUNCHES, _PunchFactRow, **instants), _punch)
    return [
        EmployeeFacts(
            person.id,
            person.hired_on,
            person.left_on,
            person.time_zone,
            person.default_shift_id,
            postings.get(person.id, ()),
            assignments.get(person.id, ()),
            dict(roster.get(person.id, ())),
            leaves.get(person.id, ()),
            dict(overrides.get(person.id, ())),
            punches.get(person.id, ()),
        )
        for person in await connection.all(_PEOPLE, _PersonRow, ids=ids)
    ]


def _posting(row: PostingRow) -> Posting:
    return Posting(row.valid_from, row.valid_to, row.department_id, row.location_id, row.manager_id)


def _assignment(row: AssignmentRow) -> Assignment:
    return Assignment(row.shift_id, row.valid_from, row.valid_to, row.iso_weekdays)


def _roster_entry(row: RosterRow) -> tuple[date, RosterEntry]:
    return row.work_date, RosterEntry(row.shift_id)


def _override(row: OverrideRow) -> tuple[date, Override]:
    return row.work_date, Override(row.status, row.work_mode, row.reason)


def _leave(row: LeaveRow) -> Leave:
    return Leave(row.leave_type_id, row.start_date, row.end_date, row.start_half, row.end_half)


def _punch(row: _PunchFactRow) -> PunchFact:
    return PunchFact(row.punched_at, row.direction, row.id, row.source, row.outside_geofence)


def _by_employee(rows: Iterable[Any], made: Callable[[Any], T]) -> dict[EmployeeId, list[T]]:
    return _grouped(rows, lambda row: row.employee_id, made)


def _grouped(rows: Iterable[Any], key: Callable[[Any], Any], made: Callable[[Any], T]) -> dict[Any, list[T]]:
    groups: defaultdict[Any, list[T]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(made(row))
    return groups
