"""Everything that days are derived from, read for many employees at once: two statements, however many there are."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.rows import (
    AssignmentRow,
    LeaveRow,
    OverrideRow,
    PostingRow,
    RosterRow,
    Row,
    ShiftRuleRow,
    WeeklyOffRow,
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


def _rows(source: str, row_type: type[Row], condition: str = "true", **columns: str) -> str:
    """The rows of a table as a JSON array; `columns` say how fields are found that are no columns of it."""
    values = ", ".join(columns.get(name, name) for name in row_type.__struct_fields__)
    return f"(SELECT coalesce(json_agg(json_build_array({values})), '[]') FROM {source} WHERE {condition})"


def _together(name: str, *rows: str) -> Query:
    """Many lists of rows as one text: a statement is a round trip, and they are of one moment."""
    return Query(name, text(f"SELECT CAST(json_build_array({', '.join(rows)}) AS text)"))


_DATES: Final = "BETWEEN CAST(:first AS date) AND CAST(:last AS date)"
_THEIRS: Final = "employee_id = ANY(CAST(:ids AS bigint[]))"
_PAST: Final = "FROM location_past_zone p WHERE p.location_id = l.id AND p.valid_to >= CAST(:first AS date)"
_OF_COMPANY: Final = _together(
    "facts_company",
    _rows("holiday", _HolidayFactRow, f"date {_DATES}"),
    _rows("work_week_off", WeeklyOffRow),
    _rows(
        "location l",
        _ZoneRow,
        valid_to=f"ARRAY(SELECT p.valid_to {_PAST} ORDER BY p.valid_to)",
        past_zones=f"ARRAY(SELECT p.time_zone {_PAST} ORDER BY p.valid_to)",
    ),
    _rows("shift_rule", ShiftRuleRow),
)
_OF_EMPLOYEES: Final = _together(
    "facts_employee",
    _rows("employee", _PersonRow, "id = ANY(CAST(:ids AS bigint[]))"),
    _rows("employee_posting", PostingRow, _THEIRS),
    _rows("shift_assignment", AssignmentRow, _THEIRS),
    _rows("roster_day", RosterRow, f"{_THEIRS} AND work_date {_DATES}"),
    _rows(
        "leave_request",
        LeaveRow,
        f"{_THEIRS} AND status = 'APPROVED' AND end_date >= CAST(:first AS date) AND start_date <= CAST(:last AS date)",
    ),
    _rows("attendance_override", OverrideRow, f"{_THEIRS} AND work_date {_DATES}"),
    _rows(
        "punch",
        _PunchFactRow,
        f"{_THEIRS} AND voided_at IS NULL AND punched_at >= CAST(:from_instant AS timestamptz)"
        " AND punched_at < CAST(:to_instant AS timestamptz)",
    ),
)


class _OfCompany(Row, frozen=True, array_like=True):
    holidays: tuple[_HolidayFactRow, ...]
    weekly_offs: tuple[WeeklyOffRow, ...]
    zones: tuple[_ZoneRow, ...]
    rules: tuple[ShiftRuleRow, ...]


class _OfEmployees(Row, frozen=True, array_like=True):
    people: tuple[_PersonRow, ...]
    postings: tuple[PostingRow, ...]
    assignments: tuple[AssignmentRow, ...]
    roster: tuple[RosterRow, ...]
    leaves: tuple[LeaveRow, ...]
    overrides: tuple[OverrideRow, ...]
    punches: tuple[_PunchFactRow, ...]


async def company_facts(connection: ReadConnection, first: date, last: date) -> Company:
    """The calendars and rules that derivations of the dates from `first` to `last` need."""
    [told] = await connection.all(_OF_COMPANY, str, first=first - NEIGHBOURS, last=last + NEIGHBOURS)
    found = msgspec.json.decode(told, type=_OfCompany)
    holidays: defaultdict[LocationId, dict[date, HolidayFact]] = defaultdict(dict)
    for holiday in found.holidays:
        holidays[holiday.location_id][holiday.date] = HolidayFact(holiday.half, holiday.optional)
    weeks = _grouped(
        found.weekly_offs,
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
        for row in found.zones
    }
    return Company(locations, _grouped(found.rules, lambda row: row.shift_id, rule_version))


def rule_version(row: ShiftRuleRow) -> RuleVersion:
    """A row of a rule as the attendance rules take it."""
    rule = Rule(**{name: getattr(row, name) for name in Rule.__struct_fields__})
    return RuleVersion(row.id, row.valid_from, row.valid_to, rule)


async def employee_facts(
    connection: ReadConnection, ids: Sequence[EmployeeId], first: date, last: date
) -> list[EmployeeFacts]:
    """The facts of employees that derivations of the dates from `first` to `last` need, by id."""
    [told] = await connection.all(
        _OF_EMPLOYEES,
        str,
        ids=ids,
        first=first - NEIGHBOURS,
        last=last + NEIGHBOURS,
        from_instant=datetime.combine(first - PUNCH_MARGIN, time(), UTC),
        to_instant=datetime.combine(last + PUNCH_MARGIN, time(), UTC),
    )
    found = msgspec.json.decode(told, type=_OfEmployees)
    postings = _by_employee(found.postings, _posting)
    assignments = _by_employee(found.assignments, _assignment)
    roster = _by_employee(found.roster, _roster_entry)
    overrides = _by_employee(found.overrides, _override)
    leaves = _by_employee(found.leaves, _leave)
    punches = _by_employee(found.punches, _punch)
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
        for person in sorted(found.people, key=lambda row: row.id)
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
