"""Every enumeration of the API, by the names that PostgreSQL, the cache and GraphQL share."""

from enum import StrEnum


class DayStatus(StrEnum):
    PENDING = "PENDING"
    PRESENT = "PRESENT"
    HALF_DAY = "HALF_DAY"
    ABSENT = "ABSENT"
    ON_LEAVE = "ON_LEAVE"
    WEEKLY_OFF = "WEEKLY_OFF"
    HOLIDAY = "HOLIDAY"
    INCOMPLETE = "INCOMPLETE"


class DayType(StrEnum):
    WORKING = "WORKING"
    WEEKLY_OFF = "WEEKLY_OFF"
    HOLIDAY = "HOLIDAY"


class WorkMode(StrEnum):
    ONSITE = "ONSITE"
    REMOTE = "REMOTE"
    ON_DUTY = "ON_DUTY"


class PunchDirection(StrEnum):
    IN = "IN"
    OUT = "OUT"
    BREAK_START = "BREAK_START"
    BREAK_END = "BREAK_END"
    UNKNOWN = "UNKNOWN"


class PunchSource(StrEnum):
    DEVICE = "DEVICE"
    KIOSK = "KIOSK"
    WEB = "WEB"
    MOBILE = "MOBILE"
    API = "API"
    IMPORT = "IMPORT"
    CORRECTION = "CORRECTION"
    AUTO_CLOSE = "AUTO_CLOSE"


class AttendanceException(StrEnum):
    """In the order of the bits of `attendance_day.exceptions`: bit 0 is LATE_IN."""

    LATE_IN = "LATE_IN"
    EARLY_OUT = "EARLY_OUT"
    MISSING_IN = "MISSING_IN"
    MISSING_OUT = "MISSING_OUT"
    DUPLICATE_PUNCH = "DUPLICATE_PUNCH"
    UNSCHEDULED_WORK = "UNSCHEDULED_WORK"
    WORKED_ON_LEAVE = "WORKED_ON_LEAVE"
    SHORT_BREAK = "SHORT_BREAK"
    AUTO_CLOSED = "AUTO_CLOSED"
    ABSENT_UNEXPLAINED = "ABSENT_UNEXPLAINED"
    LONG_DAY = "LONG_DAY"
    OUTSIDE_GEOFENCE = "OUTSIDE_GEOFENCE"


class OvertimeKind(StrEnum):
    WORKDAY = "WORKDAY"
    WEEKLY_OFF = "WEEKLY_OFF"
    HOLIDAY = "HOLIDAY"


class HalfOfDay(StrEnum):
    FIRST = "FIRST"
    SECOND = "SECOND"


class BreakPolicy(StrEnum):
    NONE = "NONE"
    AUTO = "AUTO"
    PUNCHED = "PUNCHED"
    GREATER = "GREATER"


class Pairing(StrEnum):
    FIRST_LAST = "FIRST_LAST"
    ALTERNATING = "ALTERNATING"
    DIRECTED = "DIRECTED"


class MissingPunchPolicy(StrEnum):
    FLAG = "FLAG"
    HALF_DAY = "HALF_DAY"
    ABSENT = "ABSENT"
    AUTO_CLOSE = "AUTO_CLOSE"


class PlanOrigin(StrEnum):
    ROSTER = "ROSTER"
    ASSIGNMENT = "ASSIGNMENT"
    DEFAULT = "DEFAULT"


class RequestStatus(StrEnum):
    DRAFT = "DRAFT"
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class PeriodState(StrEnum):
    OPEN = "OPEN"
    REVIEW = "REVIEW"
    LOCKED = "LOCKED"


class Role(StrEnum):
    EMPLOYEE = "EMPLOYEE"
    MANAGER = "MANAGER"
    HR = "HR"
    PAYROLL = "PAYROLL"
    ANALYST = "ANALYST"
    AUDITOR = "AUDITOR"
    ADMIN = "ADMIN"
    DEVICE = "DEVICE"


class EmployeeStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    TERMINATED = "TERMINATED"


class EmploymentType(StrEnum):
    FULL_TIME = "FULL_TIME"
    PART_TIME = "PART_TIME"
    CONTRACT = "CONTRACT"
    INTERN = "INTERN"
    CASUAL = "CASUAL"


class PresenceState(StrEnum):
    IN = "IN"
    OUT = "OUT"
    ON_BREAK = "ON_BREAK"
    NOT_EXPECTED = "NOT_EXPECTED"
    ON_LEAVE = "ON_LEAVE"
    LATE_NOT_IN = "LATE_NOT_IN"
