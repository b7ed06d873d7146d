"""Today at a glance: sums by department, who is in, who is late and not in, who is away; by every zone's own today."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.day_filter import DayFilter, day_where
from db.roll_up import SUM_OF_DAYS
from db.rows import EXCEPTIONS
from db.where import statement
from domain.attendance.metrics import SUM_NAMES, Sums
from domain.attendance.work_days import NO_SHIFT
from domain.enums import AttendanceException
from domain.ids import DepartmentId, EmployeeId
from domain.periods import ONE_DAY

OPEN_EXCEPTIONS = sum(
    1 << EXCEPTIONS.index(exception)
    for exception in (
        AttendanceException.MISSING_IN,
        AttendanceException.MISSING_OUT,
        AttendanceException.ABSENT_UNEXPLAINED,
    )
)
"""What somebody has to look into."""

_DAYS = "attendance_day d LEFT JOIN shift_rule r ON r.id = d.shift_rule_id"
_OPEN = f"""(d.presence_since >= CAST(:now AS timestamptz)
    - make_interval(mins => coalesce(r.max_session_minutes, {NO_SHIFT.max_session_minutes})))"""
"""Whether whoever came then may still be there; docs/explain/attendance-rules.md."""
_LATE_NOT_IN = f"""
  d.status = 'PENDING' AND d.first_in IS NULL AND CAST(:now AS timestamptz) < d.ends_at AND NOT r.is_flexible
  AND CAST(:now AS timestamptz) > d.starts_at + make_interval(mins => r.grace_in_minutes)
  AND (d.presence IN ('IN', 'ON_BREAK') AND {_OPEN}) IS NOT TRUE"""
_AWAY = "(d.leave_type_id IS NOT NULL OR d.status = 'ON_LEAVE')"
_TODAY = "CAST(CAST(:now AS timestamptz) AT TIME ZONE d.time_zone AS date)"


class Today(msgspec.Struct, frozen=True, array_like=True):
    """The dashboard of a scope."""

    by_department: tuple[tuple[DepartmentId, Sums], ...]
    in_now: int
    late_not_in: tuple[EmployeeId, ...]
    on_leave: tuple[EmployeeId, ...]


class TodayKey(msgspec.Struct, frozen=True):
    """A filter whose `today_at` is the minute of the answer."""

    filter: DayFilter

    @property
    def around(self) -> DayFilter:
        """The days on which somebody may have come who is still there."""
        return msgspec.structs.replace(self.filter, today_at=None, first=self.filter.first - ONE_DAY)


async def dashboards(connection: ReadConnection, keys: Sequence[TodayKey]) -> dict[TodayKey, Today]:
    """The dashboard of each key."""
    return {key: await _dashboard(connection, key) for key in keys}


async def _dashboard(connection: ReadConnection, key: TodayKey) -> Today:
    where = day_where(key.filter)
    sums = ", ".join(SUM_OF_DAYS[name] for name in SUM_NAMES)
    records = await connection.records(
        statement(
            "today",
            f"SELECT d.department_id, {sums},"
            f" array_agg(d.employee_id ORDER BY d.employee_id) FILTER (WHERE {_AWAY})"
            f" FROM attendance_day d WHERE {where.sql} GROUP BY 1 ORDER BY 1",
        ),
        **where.parameters,
    )
    in_now, late_not_in = await _present(connection, key)
    return Today(
        tuple((record[0], Sums(*map(int, record[1:-1]))) for record in records),
        in_now,
        late_not_in,
        tuple(id_ for record in records for id_ in record[-1] or ()),
    )


async def _present(connection: ReadConnection, key: TodayKey) -> tuple[int, tuple[EmployeeId, ...]]:
    """(how many are in, who is late and not in); somebody is where the latest punch of the days of the filter says."""
    where = day_where(key.around)
    of_departments = (
        "" if key.filter.department_ids is None else "o.department_id = ANY(CAST(:departments AS int[])) AND"
    )
    query = statement(
        "present_now",
        f"SELECT (SELECT count(*) FROM {_DAYS} WHERE {where.sql} AND d.presence = 'IN' AND {_OPEN} AND NOT EXISTS ("
        f" SELECT FROM attendance_day o WHERE {of_departments} o.employee_id = d.employee_id"
        " AND o.work_date BETWEEN :first AND :last"
        " AND (o.presence_since, o.work_date) > (d.presence_since, d.work_date))),"
        " (SELECT array_agg(d.employee_id ORDER BY d.starts_at, d.employee_id)"
        f" FROM {_DAYS} WHERE {where.sql} AND {_LATE_NOT_IN})",
    )
    [(in_now, late)] = await connection.records(query, **where.parameters, now=key.filter.today_at)
    return int(in_now), tuple(dict.fromkeys(late or ()))


class PresenceKey(msgspec.Struct, frozen=True):
    """Where an employee is at a minute."""

    employee_id: EmployeeId
    minute: datetime


class PresenceFacts(msgspec.Struct, frozen=True, array_like=True):
    """What is known of an employee: where the latest punch left them, or else what their present day expects.

    Last night's day speaks for the present one while the employee is there, or late.
    """

    work_date: date
    time_zone: str
    presence: str | None
    presence_since: datetime | None
    late_not_in: bool
    away: bool


_PRESENCE = Query(
    "presence",
    text(f"""
    SELECT DISTINCT ON (d.employee_id) d.employee_id, d.work_date, d.time_zone,
           CASE WHEN d.is_seen AND NOT d.is_late THEN d.presence END,
           CASE WHEN d.is_seen AND NOT d.is_late THEN d.presence_since END, d.is_late, {_AWAY}
    FROM (
      SELECT d.*, ({_LATE_NOT_IN}) IS TRUE AS is_late,
             d.presence IS NOT NULL AND row_number() OVER (
               PARTITION BY d.employee_id ORDER BY d.presence_since DESC NULLS LAST, d.work_date DESC) = 1
             AND CASE d.presence WHEN 'OUT' THEN CAST(d.presence_since AT TIME ZONE d.time_zone AS date) = {_TODAY}
                                 ELSE {_OPEN} END AS is_seen
      FROM {_DAYS}
      WHERE d.employee_id = ANY(CAST(:employees AS bigint[]))
        AND d.work_date BETWEEN CAST(:first AS date) AND CAST(:last AS date)) AS d
    WHERE d.is_seen OR d.is_late OR d.work_date = {_TODAY}
    ORDER BY d.employee_id, d.is_seen AND d.presence <> 'OUT' DESC, d.is_late DESC, d.is_seen DESC,
             d.work_date DESC"""),
)


async def presences(connection: ReadConnection, keys: Sequence[PresenceKey]) -> dict[PresenceKey, PresenceFacts]:
    """The present day of many employees; those without one are not in the mapping."""
    found = {}
    for minute in dict.fromkeys(key.minute for key in keys):
        records = await connection.records(
            _PRESENCE,
            employees=[key.employee_id for key in keys if key.minute == minute],
            first=_days_around(minute)[0],
            last=_days_around(minute)[1],
            now=minute,
        )
        for employee_id, *facts in records:
            found[PresenceKey(employee_id, minute)] = msgspec.convert(facts, PresenceFacts)
    return found


def _days_around(instant: datetime) -> tuple[date, date]:
    """The dates that may be today, or last night's, somewhere on earth."""
    ordinal = instant.date().toordinal()
    return date.fromordinal(ordinal - 2), date.fromordinal(ordinal + 1)


_EXCEPTIONS_OPEN = "d.exceptions & CAST(:open AS int) <> 0 AND NOT d.overridden AND NOT d.locked"


class OpenExceptionsKey(msgspec.Struct, frozen=True):
    """Days of a filter that somebody has to look into."""

    filter: DayFilter


async def open_exceptions(
    connection: ReadConnection, keys: Sequence[OpenExceptionsKey]
) -> dict[OpenExceptionsKey, int]:
    """How many days have a missing punch or an unexplained absence that nobody decided about."""
    found = {}
    for key in keys:
        where = day_where(key.filter)
        query = statement(
            "open_exceptions", f"SELECT count(*) FROM attendance_day d WHERE {where.sql} AND {_EXCEPTIONS_OPEN}"
        )
        [(found[key],)] = await connection.records(query, **where.parameters, open=OPEN_EXCEPTIONS)
    return found
