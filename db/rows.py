"""The rows that leave this package: frozen structs, the same objects from PostgreSQL and from the cache.

A field is called what its column and its GraphQL field are called. `global_id` is what the API shows as `id`.
"""

from datetime import date, datetime, time
from typing import Any, ClassVar, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Table

from domain import enums
from domain.ids import (
    DayKey,
    DepartmentId,
    EmployeeId,
    LeaveTypeId,
    LocationId,
    PunchId,
    ShiftId,
    ShiftRuleId,
    UserId,
    encode_id,
)
from domain.zoned_time import ZonedTime, zoned


class Row(msgspec.Struct, frozen=True, array_like=True):
    """A row of one statement; the fields stand in the order of its columns."""


class NodeRow(Row, frozen=True, array_like=True):
    """A row that the API identifies; `node_type` is its GraphQL type."""

    node_type: ClassVar[str]

    @property
    def node_key(self) -> object:
        """The key within its type."""
        return self.id  # type: ignore[attr-defined]

    @property
    def global_id(self) -> str:
        """The opaque id that the API shows."""
        return encode_id(self.node_type, self.node_key)


class LocationRow(NodeRow, frozen=True, array_like=True):
    """A place of work."""

    node_type: ClassVar[str] = "Location"
    id: LocationId
    code: str
    name: str
    time_zone: str
    work_week_id: int
    latitude: float | None
    longitude: float | None
    geofence_metres: int | None
    version: int


class HolidayRow(Row, frozen=True, array_like=True):
    """A holiday of a location; `half` None is the whole day."""

    location_id: LocationId
    date: date
    name: str
    half: enums.HalfOfDay | None
    optional: bool


class WeeklyOffRow(Row, frozen=True, array_like=True):
    """A weekday that a work week has off; bit i of `weeks_of_month` is its (i+1)-th in the month."""

    work_week_id: int
    iso_weekday: int
    weeks_of_month: int
    half: enums.HalfOfDay | None


class DepartmentRow(NodeRow, frozen=True, array_like=True):
    """A department in the tree of departments."""

    node_type: ClassVar[str] = "Department"
    id: DepartmentId
    code: str
    name: str
    parent_id: DepartmentId | None
    manager_id: EmployeeId | None
    version: int


class ShiftRow(NodeRow, frozen=True, array_like=True):
    """A shift; what it demands stands in its rules."""

    node_type: ClassVar[str] = "Shift"
    id: ShiftId
    code: str
    name: str
    color: str | None
    version: int


class ShiftRuleRow(NodeRow, frozen=True, array_like=True):
    """One version of a shift's rule, in force from `valid_from` to `valid_to` (inclusive, None is open)."""

    node_type: ClassVar[str] = "ShiftRule"
    id: ShiftRuleId
    shift_id: ShiftId
    valid_from: date
    valid_to: date | None
    start_time: time
    end_time: time
    is_flexible: bool
    expected_minutes: int | None
    half_split: time | None
    window_before_minutes: int
    window_after_minutes: int
    grace_in_minutes: int
    grace_out_minutes: int
    late_from_grace: bool
    half_day_below_minutes: int | None
    absent_below_minutes: int | None
    break_minutes: int
    break_after_minutes: int
    break_policy: enums.BreakPolicy
    pairing: enums.Pairing
    dedupe_seconds: int
    count_early_arrival: bool
    overtime_min_minutes: int
    overtime_step_minutes: int
    overtime_max_minutes: int | None
    missing_out: enums.MissingPunchPolicy
    max_session_minutes: int


class EmployeeRow(NodeRow, frozen=True, array_like=True):
    """An employee with today's posting; `time_zone` is the effective one: the employee's own or else the location's."""

    node_type: ClassVar[str] = "Employee"
    id: EmployeeId
    employee_no: str
    full_name: str
    email: str | None
    badge_no: str | None
    status: enums.EmployeeStatus
    employment_type: enums.EmploymentType
    designation: str | None
    department_id: DepartmentId
    location_id: LocationId
    manager_id: EmployeeId | None
    default_shift_id: ShiftId | None
    time_zone: str
    hired_on: date
    left_on: date | None
    version: int


class PostingRow(Row, frozen=True, array_like=True):
    """Where an employee belonged from `valid_from` to `valid_to` (inclusive, None is open)."""

    employee_id: EmployeeId
    valid_from: date
    valid_to: date | None
    department_id: DepartmentId
    location_id: LocationId
    manager_id: EmployeeId | None


class AssignmentRow(Row, frozen=True, array_like=True):
    """A shift assigned for a range of dates; bit 0 of `iso_weekdays` is Monday."""

    id: int
    employee_id: EmployeeId
    shift_id: ShiftId
    valid_from: date
    valid_to: date | None
    iso_weekdays: int


class RosterRow(Row, frozen=True, array_like=True):
    """A rostered date; without a shift it is explicitly off."""

    employee_id: EmployeeId
    work_date: date
    shift_id: ShiftId | None


class PunchRow(NodeRow, frozen=True, array_like=True):
    """A punch as it was made; a wrong one is voided, never changed."""

    node_type: ClassVar[str] = "Punch"
    id: PunchId
    employee_id: EmployeeId
    punched_at: datetime
    direction: enums.PunchDirection
    source: enums.PunchSource
    device_id: int | None
    note: str | None
    outside_geofence: bool
    voided_at: datetime | None
    void_reason: str | None

    @property
    def voided(self) -> bool:
        """Whether it no longer counts."""
        return self.voided_at is not None


class LeaveTypeRow(NodeRow, frozen=True, array_like=True):
    """A kind of leave."""

    node_type: ClassVar[str] = "LeaveType"
    id: LeaveTypeId
    code: str
    name: str
    paid: bool
    allow_half_day: bool


class LeaveRow(Row, frozen=True, array_like=True):
    """An approved leave, as the attendance rules need it."""

    employee_id: EmployeeId
    leave_type_id: LeaveTypeId
    start_date: date
    end_date: date
    start_half: enums.HalfOfDay
    end_half: enums.HalfOfDay


class OverrideRow(Row, frozen=True, array_like=True):
    """What a person decided about a day against its punches."""

    employee_id: EmployeeId
    work_date: date
    status: enums.DayStatus
    work_mode: enums.WorkMode | None
    reason: str


EXCEPTIONS = tuple(enums.AttendanceException)


class DayRow(NodeRow, frozen=True, array_like=True):
    """A derived day; department, location, manager, shift and zone as they were on that date."""

    node_type: ClassVar[str] = "AttendanceDay"
    employee_id: EmployeeId
    work_date: date
    department_id: DepartmentId
    location_id: LocationId
    manager_id: EmployeeId | None
    shift_id: ShiftId | None
    shift_rule_id: ShiftRuleId | None
    time_zone: str
    day_type: enums.DayType
    status: enums.DayStatus
    work_mode: enums.WorkMode
    starts_at: datetime | None
    ends_at: datetime | None
    first_in: datetime | None
    last_out: datetime | None
    presence: enums.PresenceState | None
    presence_since: datetime | None
    expected_minutes: int
    worked_minutes: int
    break_minutes: int
    late_minutes: int
    early_exit_minutes: int
    overtime_minutes: int
    overtime_approved_minutes: int
    overtime_kind: enums.OvertimeKind | None
    present_halves: int
    leave_halves: int
    absent_halves: int
    off_halves: int
    exceptions_mask: int
    leave_type_id: LeaveTypeId | None
    settles_at: datetime | None
    overridden: bool
    locked: bool
    version: int

    @property
    def key(self) -> DayKey:
        """The natural key."""
        return self.employee_id, self.work_date

    @property
    def node_key(self) -> object:
        """The natural key as it stands in the global id."""
        return f"{self.employee_id}:{self.work_date}"

    @property
    def first_in_zoned(self) -> ZonedTime | None:
        """When the employee came, by the wall clock of the day's zone."""
        return zoned(self.first_in, self.time_zone)

    @property
    def last_out_zoned(self) -> ZonedTime | None:
        """When the employee left, by the wall clock of the day's zone."""
        return zoned(self.last_out, self.time_zone)

    @property
    def present_days(self) -> float:
        """Days present, in halves."""
        return self.present_halves / 2

    @property
    def leave_days(self) -> float:
        """Days on leave, in halves."""
        return self.leave_halves / 2

    @property
    def absent_days(self) -> float:
        """Days absent, in halves."""
        return self.absent_halves / 2

    @property
    def exceptions(self) -> list[enums.AttendanceException]:
        """What was unusual, in the order of the enumeration."""
        return [exception for bit, exception in enumerate(EXCEPTIONS) if self.exceptions_mask >> bit & 1]


class UserRow(NodeRow, frozen=True, array_like=True):
    """Who can sign in."""

    node_type: ClassVar[str] = "User"
    id: UserId
    email: str
    employee_id: EmployeeId | None
    is_active: bool
    token_epoch: int


class RoleGrantRow(Row, frozen=True, array_like=True):
    """A role of a user; without department and location it is for everyone."""

    user_id: UserId
    role: enums.Role
    department_id: DepartmentId | None
    location_id: LocationId | None
    expires_at: datetime | None


class DeviceRow(Row, frozen=True, array_like=True):
    """A punch clock."""

    id: int
    code: str
    location_id: LocationId
    is_active: bool


RowType = TypeVar("RowType", bound=Row)
COLUMN_NAMES = {"exceptions_mask": "exceptions"}


def columns_of(table: Table, row_type: type[Row]) -> list[ColumnElement[Any]]:
    """The columns of `table` in the order of the fields of `row_type`."""
    return [table.c[COLUMN_NAMES.get(name, name)] for name in row_type.__struct_fields__]
