"""The demo company as rows of tables, by column name."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from domain.attendance.calendar import Assignment, RosterEntry
from domain.attendance.work_days import Leave, Posting, RuleVersion
from domain.enums import RequestStatus
from domain.ids import EmployeeId, ShiftId, punch_id
from ops.demo.company import Blueprint, Member, all_holidays, company_facts, years_of
from ops.demo.holidays import Holiday
from ops.demo.organisation import Unit
from ops.demo.people import Person
from ops.demo.places import CLOCKS, PLACES, WORK_WEEKS
from ops.demo.plans import LEAVE_TYPES, reason_of
from ops.demo.punches import RawPunch
from ops.demo.shifts import SHIFTS

Rows = list[dict[str, Any]]

ASKED_BEFORE: Final = timedelta(days=9)
POSTING_COLUMNS: Final = ("employee_id", "valid_from", "valid_to", "department_id", "location_id", "manager_id")
ASSIGNMENT_COLUMNS: Final = ("employee_id", "shift_id", "valid_from", "valid_to", "iso_weekdays")
ROSTER_COLUMNS: Final = ("employee_id", "work_date", "shift_id")
LEAVE_COLUMNS: Final = (
    "employee_id", "leave_type_id", "start_date", "end_date", "start_half", "end_half", "reason", "status", "created_at"
)  # fmt: skip
PUNCH_COLUMNS: Final = (
    "id", "employee_id", "punched_at", "direction", "source", "device_id", "latitude", "longitude", "outside_geofence"
)  # fmt: skip


def company_rows(plan: Blueprint) -> Iterator[tuple[str, Rows]]:
    """(table, rows) of all that is not anybody's, in the order of the references among them."""
    yield "work_week", [{"id": week.id, "code": week.code, "name": week.name} for week in WORK_WEEKS]
    yield (
        "work_week_off",
        [{"work_week_id": week.id, **msgspec.structs.asdict(off)} for week in WORK_WEEKS for off in week.off],
    )
    yield "location", [_without(msgspec.structs.asdict(place), "clocks") | {"version": 1} for place in PLACES]
    yield "holiday", holiday_rows(all_holidays(years_of(plan.first, plan.last)))
    yield "shift", [msgspec.structs.asdict(shift) | {"version": 1} for shift in SHIFTS]
    yield (
        "shift_rule",
        [
            _rule(shift_id, version)
            for shift_id, versions in company_facts(plan).rules.items()
            if shift_id is not None
            for version in versions
        ],
    )
    yield "leave_type", [msgspec.structs.asdict(leave_type) for leave_type in LEAVE_TYPES]
    yield "device", [msgspec.structs.asdict(clock) for clock in CLOCKS]
    yield "department", [_department(unit) for unit in plan.organisation().units]


def holiday_rows(holidays: Iterable[Holiday]) -> Rows:
    """Rows of holiday."""
    return [msgspec.structs.asdict(holiday) for holiday in holidays]


def employee_row(person: Person) -> dict[str, Any]:
    """A row of employee."""
    return {
        "id": person.id,
        "employee_no": person.employee_no,
        "full_name": person.full_name,
        "email": person.email,
        "badge_no": person.badge_no,
        "status": person.status,
        "employment_type": person.employment_type,
        "designation": person.job,
        "department_id": person.department_id,
        "location_id": person.place.id,
        "manager_id": person.manager_id,
        "default_shift_id": person.default_shift_id,
        "time_zone": person.own_time_zone,
        "hired_on": person.hired_on,
        "left_on": person.left_on,
        "version": 1,
    }


def member_rows(
    members: Sequence[Member], numbers: Iterator[int]
) -> Iterator[tuple[str, Sequence[str], Iterator[tuple[Any, ...]]]]:
    """(table, columns, rows) of what belongs to some employees, days aside; `numbers` are for their punches."""
    yield (
        "employee_posting",
        POSTING_COLUMNS,
        (posting_row(one.facts.id, posting) for one in members for posting in one.facts.postings),
    )
    yield (
        "shift_assignment",
        ASSIGNMENT_COLUMNS,
        (assignment_row(one.facts.id, assignment) for one in members for assignment in one.facts.assignments),
    )
    yield (
        "roster_day",
        ROSTER_COLUMNS,
        (roster_row(one.facts.id, day, entry) for one in members for day, entry in one.facts.roster.items()),
    )
    yield (
        "leave_request",
        LEAVE_COLUMNS,
        (leave_row(one.facts.id, leave) for one in members for leave in one.facts.leaves),
    )
    yield (
        "punch",
        PUNCH_COLUMNS,
        (punch_row(one.facts.id, punch, next(numbers)) for one in members for punch in one.punches),
    )


def named(columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> Rows:
    """Rows by column name."""
    return [dict(zip(columns, row, strict=True)) for row in rows]


def posting_row(employee_id: EmployeeId, posting: Posting) -> tuple[Any, ...]:
    """A row of employee_posting."""
    return (employee_id, *msgspec.structs.astuple(posting))


def assignment_row(employee_id: EmployeeId, assignment: Assignment) -> tuple[Any, ...]:
    """A row of shift_assignment."""
    return (employee_id, *msgspec.structs.astuple(assignment))


def roster_row(employee_id: EmployeeId, day: date, entry: RosterEntry) -> tuple[Any, ...]:
    """A row of roster_day."""
    return employee_id, day, entry.shift_id


def leave_row(employee_id: EmployeeId, leave: Leave) -> tuple[Any, ...]:
    """A row of leave_request, granted."""
    asked_at = datetime.combine(leave.start_date - ASKED_BEFORE, time(9), UTC)
    return (employee_id, *msgspec.structs.astuple(leave), reason_of(leave), RequestStatus.APPROVED, asked_at)


def punch_row(employee_id: EmployeeId, punch: RawPunch, number: int) -> tuple[Any, ...]:
    """A row of punch."""
    return (punch_id(punch.at, number), employee_id, *msgspec.structs.astuple(punch))


def _department(unit: Unit) -> dict[str, Any]:
    return {"id": unit.id, "code": unit.code, "name": unit.name, "parent_id": unit.parent_id, "version": 1}


def _rule(shift_id: ShiftId, version: RuleVersion) -> dict[str, Any]:
    return {
        "id": version.id,
        "shift_id": shift_id,
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        **msgspec.structs.asdict(version.rule),
    }


def _without(row: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != name}
