"""The tables as SQLAlchemy Core sees them, to build statements from; constraints stand in the migrations."""

from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Time,
)
from sqlalchemy.dialects.postgresql import ARRAY, CITEXT, INT4RANGE

from domain import enums

metadata = MetaData()


def _enum(labels: type[StrEnum], name: str) -> Enum:
    return Enum(labels, name=name, create_type=False, metadata=metadata)


employment_type = _enum(enums.EmploymentType, "employment_type")
employee_status = _enum(enums.EmployeeStatus, "employee_status")
role_name = _enum(enums.Role, "role_name")
day_type = _enum(enums.DayType, "day_type")
day_status = _enum(enums.DayStatus, "day_status")
work_mode = _enum(enums.WorkMode, "work_mode")
punch_direction = _enum(enums.PunchDirection, "punch_direction")
punch_source = _enum(enums.PunchSource, "punch_source")
presence_state = _enum(enums.PresenceState, "presence_state")
pairing_mode = _enum(enums.Pairing, "pairing_mode")
break_policy = _enum(enums.BreakPolicy, "break_policy")
missing_punch = _enum(enums.MissingPunchPolicy, "missing_punch")
request_status = _enum(enums.RequestStatus, "request_status")
half_of_day = _enum(enums.HalfOfDay, "half_of_day")
overtime_kind = _enum(enums.OvertimeKind, "overtime_kind")
period_state = _enum(enums.PeriodState, "period_state")

TIMESTAMP = DateTime(timezone=True)


def _columns(type_: Any, names: str, **options: Any) -> list[Column[Any]]:
    """Columns of one type; a trailing ? marks one that may be null."""
    return [Column(name.rstrip("?"), type_, nullable=name.endswith("?"), **options) for name in names.split()]


def _id(type_: Any = Integer) -> Column[Any]:
    return Column("id", type_, primary_key=True)


def _key(name: str, type_: Any, target: str | None = None) -> Column[Any]:
    return Column(name, type_, *([ForeignKey(target)] if target else []), primary_key=True)


def _to(name: str, target: str, *, type_: Any = Integer) -> Column[Any]:
    return Column(name.rstrip("?"), type_, ForeignKey(target), nullable=name.endswith("?"))


work_week = Table("work_week", metadata, _id(), *_columns(CITEXT, "code"), *_columns(Text, "name"))
work_week_off = Table(
    "work_week_off",
    metadata,
    _key("work_week_id", Integer, "work_week.id"),
    _key("iso_weekday", SmallInteger),
    _key("weeks_of_month", SmallInteger),
    *_columns(half_of_day, "half?"),
)
location = Table(
    "location",
    metadata,
    _id(),
    *_columns(CITEXT, "code"),
    *_columns(Text, "name time_zone"),
    _to("work_week_id", "work_week.id"),
    *_columns(Double, "latitude? longitude?"),
    *_columns(Integer, "geofence_metres? version"),
)
location_past_zone = Table(
    "location_past_zone",
    metadata,
    _key("location_id", Integer, "location.id"),
    _key("valid_to", Date),
    *_columns(Text, "time_zone"),
)
holiday = Table(
    "holiday",
    metadata,
    _key("location_id", Integer, "location.id"),
    _key("date", Date),
    *_columns(Text, "name"),
    *_columns(half_of_day, "half?"),
    *_columns(Boolean, "optional"),
)
department = Table(
    "department",
    metadata,
    _id(),
    *_columns(CITEXT, "code"),
    *_columns(Text, "name"),
    _to("parent_id?", "department.id"),
    Column("manager_id", BigInteger, ForeignKey("employee.id", use_alter=True)),
    *_columns(Integer, "version"),
)
shift = Table(
    "shift", metadata, _id(), *_columns(CITEXT, "code"), *_columns(Text, "name color?"), *_columns(Integer, "version")
)
shift_rule = Table(
    "shift_rule",
    metadata,
    _id(),
    _to("shift_id", "shift.id"),
    *_columns(Date, "valid_from valid_to?"),
    *_columns(Time, "start_time end_time"),
    *_columns(Boolean, "is_flexible"),
    *_columns(SmallInteger, "expected_minutes?"),
    *_columns(Time, "half_split?"),
    *_columns(SmallInteger, "window_before_minutes window_after_minutes grace_in_minutes grace_out_minutes"),
    *_columns(Boolean, "late_from_grace"),
    *_columns(SmallInteger, "half_day_below_minutes? absent_below_minutes? break_minutes break_after_minutes"),
    *_columns(break_policy, "break_policy"),
    *_columns(pairing_mode, "pairing"),
    *_columns(SmallInteger, "dedupe_seconds"),
    *_columns(Boolean, "count_early_arrival"),
    *_columns(SmallInteger, "overtime_min_minutes overtime_step_minutes overtime_max_minutes?"),
    *_columns(missing_punch, "missing_out"),
    *_columns(SmallInteger, "max_session_minutes"),
)
employee = Table(
    "employee",
    metadata,
    _id(BigInteger),
    *_columns(CITEXT, "employee_no"),
    *_columns(Text, "full_name"),
    *_columns(CITEXT, "email?"),
    *_columns(Text, "badge_no?"),
    *_columns(employee_status, "status"),
    *_columns(employment_type, "employment_type"),
    *_columns(Text, "designation?"),
    _to("department_id", "department.id"),
    _to("location_id", "location.id"),
    _to("manager_id?", "employee.id", type_=BigInteger),
    _to("default_shift_id?", "shift.id"),
    *_columns(Text, "time_zone?"),
    *_columns(Date, "hired_on left_on?"),
    *_columns(Integer, "version"),
)
employee_posting = Table(
    "employee_posting",
    metadata,
    _key("employee_id", BigInteger, "employee.id"),
    _key("valid_from", Date),
    *_columns(Date, "valid_to?"),
    _to("department_id", "department.id"),
    _to("location_id", "location.id"),
    _to("manager_id?", "employee.id", type_=BigInteger),
)
shift_assignment = Table(
    "shift_assignment",
    metadata,
    _id(BigInteger),
    _to("employee_id", "employee.id", type_=BigInteger),
    _to("shift_id", "shift.id"),
    *_columns(Date, "valid_from valid_to?"),
    *_columns(SmallInteger, "iso_weekdays"),
)
roster_day = Table(
    "roster_day",
    metadata,
    _key("employee_id", BigInteger, "employee.id"),
    _key("work_date", Date),
    _to("shift_id?", "shift.id"),
)
app_user = Table(
    "app_user",
    metadata,
    _id(BigInteger),
    *_columns(CITEXT, "email"),
    *_columns(Text, "password_hash?"),
    _to("employee_id?", "employee.id", type_=BigInteger),
    *_columns(Boolean, "is_active"),
    *_columns(Integer, "token_epoch"),
)
user_identity = Table(
    "user_identity",
    metadata,
    _key("issuer", Text),
    _key("subject", Text),
    _to("user_id", "app_user.id", type_=BigInteger),
)
role_grant = Table(
    "role_grant",
    metadata,
    _id(BigInteger),
    _to("user_id", "app_user.id", type_=BigInteger),
    *_columns(role_name, "role"),
    _to("department_id?", "department.id"),
    _to("location_id?", "location.id"),
    *_columns(TIMESTAMP, "expires_at?"),
    _to("granted_by?", "app_user.id", type_=BigInteger),
    *_columns(TIMESTAMP, "granted_at"),
)
device = Table(
    "device",
    metadata,
    _id(),
    *_columns(CITEXT, "code"),
    _to("location_id", "location.id"),
    *_columns(Boolean, "is_active"),
)
punch = Table(
    "punch",
    metadata,
    _id(BigInteger),
    _to("employee_id", "employee.id", type_=BigInteger),
    _key("punched_at", TIMESTAMP),
    *_columns(punch_direction, "direction"),
    *_columns(punch_source, "source"),
    _to("device_id?", "device.id"),
    *_columns(Text, "client_event_id?"),
    *_columns(Double, "latitude? longitude?"),
    *_columns(Text, "note?"),
    *_columns(Boolean, "outside_geofence"),
    *_columns(TIMESTAMP, "voided_at?"),
    *_columns(BigInteger, "voided_by?"),
    *_columns(Text, "void_reason?"),
)
punch_unmatched = Table(
    "punch_unmatched",
    metadata,
    _id(BigInteger),
    *_columns(Text, "badge_no"),
    *_columns(TIMESTAMP, "punched_at"),
    *_columns(punch_direction, "direction"),
    _to("device_id", "device.id"),
    *_columns(Text, "client_event_id?"),
)
leave_type = Table(
    "leave_type",
    metadata,
    _id(),
    *_columns(CITEXT, "code"),
    *_columns(Text, "name"),
    *_columns(Boolean, "paid allow_half_day"),
)
leave_request = Table(
    "leave_request",
    metadata,
    _id(BigInteger),
    _to("employee_id", "employee.id", type_=BigInteger),
    _to("leave_type_id", "leave_type.id"),
    *_columns(Date, "start_date end_date"),
    *_columns(half_of_day, "start_half end_half"),
    *_columns(INT4RANGE, "slots?"),
    *_columns(Text, "reason?"),
    *_columns(request_status, "status"),
    *_columns(Integer, "version"),
    *_columns(TIMESTAMP, "created_at"),
)
attendance_override = Table(
    "attendance_override",
    metadata,
    _key("employee_id", BigInteger, "employee.id"),
    _key("work_date", Date),
    *_columns(day_status, "status"),
    *_columns(work_mode, "work_mode?"),
    *_columns(Text, "reason"),
    _to("created_by?", "app_user.id", type_=BigInteger),
    *_columns(TIMESTAMP, "created_at"),
)
attendance_day = Table(
    "attendance_day",
    metadata,
    _key("employee_id", BigInteger),
    _key("work_date", Date),
    *_columns(Integer, "department_id location_id"),
    *_columns(BigInteger, "manager_id?"),
    *_columns(Integer, "shift_id? shift_rule_id?"),
    *_columns(Text, "time_zone"),
    *_columns(day_type, "day_type"),
    *_columns(day_status, "status"),
    *_columns(work_mode, "work_mode"),
    *_columns(TIMESTAMP, "starts_at? ends_at? first_in? last_out?"),
    *_columns(presence_state, "presence?"),
    *_columns(TIMESTAMP, "presence_since?"),
    *_columns(SmallInteger, "expected_minutes worked_minutes break_minutes late_minutes early_exit_minutes"),
    *_columns(SmallInteger, "overtime_minutes overtime_approved_minutes"),
    *_columns(overtime_kind, "overtime_kind?"),
    *_columns(SmallInteger, "present_halves leave_halves absent_halves off_halves"),
    *_columns(Integer, "exceptions leave_type_id?"),
    *_columns(TIMESTAMP, "settles_at?"),
    *_columns(Boolean, "overridden locked"),
    *_columns(Integer, "version"),
)
attendance_stat = Table(
    "attendance_stat",
    metadata,
    _key("work_date", Date),
    _key("department_id", Integer),
    _key("location_id", Integer),
    _key("shift_id", Integer),
    *_columns(Integer, "days pending_count present_halves punctual_halves leave_halves absent_halves off_halves"),
    *_columns(Integer, "late_count early_exit_count incomplete_count remote_count"),
    *_columns(BigInteger, "expected_minutes worked_minutes late_minutes overtime_minutes overtime_approved_minutes"),
    *_columns(Integer, "first_in_count"),
    *_columns(BigInteger, "first_in_minutes"),
)
pay_period = Table(
    "pay_period",
    metadata,
    _id(),
    _to("location_id", "location.id"),
    *_columns(Date, "start_date end_date"),
    *_columns(period_state, "state"),
)
idempotency_key = Table(
    "idempotency_key",
    metadata,
    _key("user_id", BigInteger, "app_user.id"),
    _key("key", Text),
    *_columns(Text, "mutation"),
    *_columns(LargeBinary, "request_hash outcome"),
    *_columns(TIMESTAMP, "created_at"),
)
cache_outbox = Table(
    "cache_outbox",
    metadata,
    _id(BigInteger),
    *_columns(Text, "xid"),
    *_columns(ARRAY(Text), "tags"),
    *_columns(Boolean, "outside"),
)
demo_company = Table(
    "demo_company",
    metadata,
    Column("one", Boolean, primary_key=True),
    *_columns(BigInteger, "seed"),
    *_columns(Integer, "employees"),
    *_columns(Date, "first_date last_date planned_until"),
    *_columns(TIMESTAMP, "filled_until?"),
)
