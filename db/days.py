"""Derived days: written by deriving them again from their facts, read by employee or by key."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, timedelta
from typing import Any, Final, cast

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection, WriteConnection
from db.facts import company_facts
from db.known_days import BESIDE, KnownDays, KnownEmployee, known_days
from db.roll_up import Slice, refresh_stats
from db.rows import COLUMN_NAMES, EXCEPTIONS, DayRow
from domain.attendance.work_days import WorkDay, work_days
from domain.enums import AttendanceException
from domain.ids import DayKey, EmployeeId
from domain.periods import ONE_DAY

EMPLOYEES_AT_ONCE: Final = 200
CATCH_UP: Final = timedelta(days=31)
"""How many days that nobody began, since the service was down, are begun afterwards."""

DAY_COLUMNS: Final = tuple(COLUMN_NAMES.get(name, name) for name in DayRow.__struct_fields__)
"""The columns of attendance_day in the order of the fields of DayRow."""
_ASSIGNED: Final = [name for name in DAY_COLUMNS if name not in ("employee_id", "work_date", "locked", "version")]

_LOCK_EMPLOYEES = Query(
    "day_lock_employees",
    text("SELECT id FROM employee WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE"),
)
_UPSERT = Query(
    "day_upsert",
    text(f"""
    INSERT INTO attendance_day ({", ".join(DAY_COLUMNS)})
    SELECT {", ".join(DAY_COLUMNS)} FROM json_populate_recordset(NULL::attendance_day, CAST(:rows AS json))
    ON CONFLICT (employee_id, work_date) DO UPDATE SET version = attendance_day.version + 1,
      {", ".join(f"{name} = excluded.{name}" for name in _ASSIGNED)}"""),
)
_KEYS = "unnest(CAST(:employees AS bigint[]), CAST(:dates AS date[])) AS k (employee, on_date)"
_IS_KEY = "employee_id = k.employee AND work_date = k.on_date"
_DELETE = Query("day_delete", text(f"DELETE FROM attendance_day USING {_KEYS} WHERE {_IS_KEY}"))
_COLUMNS_SQL = ", ".join(DAY_COLUMNS)
_BY_KEYS = Query(
    "day_by_key",
    text(f"""
    SELECT {_COLUMNS_SQL} FROM {_KEYS} JOIN attendance_day ON {_IS_KEY}
    WHERE work_date BETWEEN CAST(:first AS date) AND CAST(:last AS date)"""),
)

_OLDEST = Query("day_oldest", text("SELECT min(work_date) FROM attendance_day WHERE employee_id = :id"))

_LATEST = Query(
    "day_latest",
    text("""
    SELECT min(latest) FROM (
      SELECT max(work_date) AS latest FROM attendance_day WHERE employee_id = ANY(CAST(:ids AS bigint[]))
      AND work_date BETWEEN CAST(:oldest AS date) AND CAST(:newest AS date) GROUP BY employee_id) AS by_employee"""),
)


class Derivation(msgspec.Struct, frozen=True):
    """What deriving days again came to: how many days there are, and (before, after) of those that changed.

    `date_by_punch` tells which day each punch went to, `shown_on` the date of each that belongs to no day. `locked` are
    the days that stayed as they are because they are locked.
    """

    days: int
    changes: Sequence[tuple[DayRow | None, DayRow | None]]
    date_by_punch: Mapping[int, date]
    shown_on: Mapping[int, date]
    locked: Set[DayKey]


class Derived(msgspec.Struct, frozen=True):
    """Days as they are derived from what is known, not stored yet; `date_by_punch` and `shown_on` as above.

    `repeated` are the punches that count as one with the punch before them.
    """

    days: Mapping[DayKey, DayRow]
    date_by_punch: Mapping[int, date]
    shown_on: Mapping[int, date]
    repeated: Set[int]


def day_tuple(employee_id: EmployeeId, work_day: WorkDay) -> tuple[Any, ...]:
    """A derived day as a row of attendance_day, in the order of DAY_COLUMNS."""
    return msgspec.structs.astuple(day_row(employee_id, work_day))


def day_row(employee_id: EmployeeId, work_day: WorkDay) -> DayRow:
    """A derived day as it is stored when nothing of it was approved or locked yet."""
    planned, derived = work_day.planned, work_day.derived
    posting, frame = planned.posting, work_day.found.frame
    has_shift = planned.shift_id is not None
    return DayRow(
        employee_id=employee_id,
        work_date=planned.work_date,
        department_id=posting.department_id,
        location_id=posting.location_id,
        manager_id=posting.manager_id,
        shift_id=planned.shift_id,
        shift_rule_id=planned.rule_id,
        time_zone=planned.time_zone,
        day_type=derived.day_type,
        status=derived.status,
        work_mode=work_day.work_mode,
        starts_at=frame.starts_at if has_shift else None,
        ends_at=frame.ends_at if has_shift else None,
        first_in=derived.first_in,
        last_out=derived.last_out,
        presence=work_day.presence,
        presence_since=work_day.presence_since,
        expected_minutes=derived.expected_minutes,
        worked_minutes=derived.worked_minutes,
        break_minutes=derived.break_minutes,
        late_minutes=derived.late_minutes,
        early_exit_minutes=derived.early_exit_minutes,
        overtime_minutes=derived.overtime_minutes,
        overtime_approved_minutes=0,
        overtime_kind=derived.overtime_kind,
        present_halves=derived.present_halves,
        leave_halves=derived.leave_halves,
        absent_halves=derived.absent_halves,
        off_halves=derived.off_halves,
        exceptions_mask=exceptions_mask(derived.exceptions),
        leave_type_id=work_day.leave_type_id,
        settles_at=derived.settles_at,
        overridden=work_day.overridden,
        locked=False,
        version=1,
    )


def exceptions_mask(exceptions: Iterable[AttendanceException]) -> int:
    """The bits of exceptions, the first of the enumeration lowest."""
    return sum(1 << EXCEPTIONS.index(exception) for exception in exceptions)


async def lock_employees(connection: WriteConnection, ids: Iterable[EmployeeId]) -> None:
    """Wait for other changes of these employees' attendance, and make those that follow wait."""
    await connection.records(_LOCK_EMPLOYEES, ids=sorted(ids))


async def derive_days(
    connection: WriteConnection,
    employee_ids: Iterable[EmployeeId],
    first: date,
    last: date,
    now: datetime,
    *,
    only_known: bool = False,
    beside: bool = False,
    lock: bool = True,
) -> Derivation:
    """Derive the days of employees again and store those that differ; locked days stay as they are.

    With `only_known` no day is added; with `beside` known days just BESIDE them are derived as well, but not counted.
    Takes the employees' row locks before it reads anything, so of two writers the later one sees the punches of both,
    and the holidays and rules that the other changed; without `lock` the caller has taken them all.
    """
    wanted = sorted(set(employee_ids))
    if lock:
        await lock_employees(connection, wanted)
    margin = BESIDE if beside else timedelta()
    company = await company_facts(connection, first - margin, last + margin)
    count, changes, locked = 0, [], set()
    date_by_punch: dict[int, date] = {}
    shown_on: dict[int, date] = {}
    for ids in _chunks(wanted):
        known = await known_days(connection, ids, first, last, margin, company)
        found = derived(known, now, only_known=only_known)
        changes += await _store(connection, known, found)
        count += sum(first <= day <= last for _, day in found.days)
        locked |= known.locked
        date_by_punch |= found.date_by_punch
        shown_on |= found.shown_on
    await refresh_stats(connection, _slices(changes))
    return Derivation(count, changes, date_by_punch, shown_on, locked)


def derived(known: KnownDays, now: datetime, *, only_known: bool = False) -> Derived:
    """The days of everybody known: the stored ones, and unless `only_known` those to begin from `first` to `last`."""
    days: dict[DayKey, DayRow] = {}
    date_by_punch: dict[int, date] = {}
    shown_on: dict[int, date] = {}
    repeated: set[int] = set()
    for employee in known.employees:
        for work_day in work_days(employee, known.company, *known.around, now):
            key = employee.id, work_day.planned.work_date
            if key not in known.stored and (only_known or not known.first <= key[1] <= known.last):
                continue
            days[key] = day_row(employee.id, work_day)
            date_by_punch |= {punch.id: key[1] for punch in work_day.punches if punch.id}
            shown_on |= {punch.id: key[1] for punch in work_day.unattributed if punch.id}
            repeated |= {punch.id for punch in work_day.repeated if punch.id}
    return Derived(days, date_by_punch, shown_on, repeated)


async def store_derived(connection: WriteConnection, known: KnownDays, found: Derived) -> dict[DayKey, DayRow]:
    """Store the days that differ, but for locked ones; returns all days as they are then."""
    changes = await _store(connection, known, found)
    await refresh_stats(connection, _slices(changes))
    days = dict(known.stored)
    for old, new in changes:
        if new is not None:
            days[new.key] = new
        elif old is not None:
            del days[old.key]
    return days


async def known_around(
    connection: ReadConnection, employee_id: EmployeeId, since: datetime, until: datetime
) -> KnownEmployee:
    """What is known of an employee for punches from `since` to `until`, with days before them that nobody began."""
    first, last = since.date() - 2 * ONE_DAY, until.date() + ONE_DAY
    known = await known_days(connection, [employee_id], first, last, BESIDE)
    if (employee_id, first - ONE_DAY) not in known.stored:
        begun = await after_latest(connection, [employee_id], first)
        if begun < first:
            known = await known_days(connection, [employee_id], begun, last, BESIDE)
    return KnownEmployee(known)


def _changes(
    existing: Mapping[DayKey, DayRow], derived: Mapping[DayKey, DayRow]
) -> Iterator[tuple[DayRow | None, DayRow | None]]:
    for key, new in derived.items():
        old = existing.get(key)
        if old is None:
            yield None, new
        elif not old.locked:
            approved = min(old.overtime_approved_minutes, new.overtime_minutes)
            kept = msgspec.structs.replace(new, overtime_approved_minutes=approved, version=old.version)
            if kept != old:
                yield old, msgspec.structs.replace(kept, version=old.version + 1)
    for key, old in existing.items():
        if key not in derived and not old.locked:
            yield old, None


async def _store(
    connection: WriteConnection, known: KnownDays, found: Derived
) -> list[tuple[DayRow | None, DayRow | None]]:
    changes = list(_changes(known.stored, found.days))
    stored = [new for _, new in changes if new is not None]
    if stored:
        rows = [dict(zip(DAY_COLUMNS, msgspec.structs.astuple(row), strict=True)) for row in stored]
        await connection.execute(_UPSERT, rows=msgspec.json.encode(rows).decode())
    gone = [old.key for old, new in changes if old is not None and new is None]
    if gone:
        employees, dates = zip(*gone, strict=True)
        await connection.execute(_DELETE, employees=employees, dates=dates)
    return changes


def _slices(changes: Iterable[tuple[DayRow | None, DayRow | None]]) -> Iterator[Slice]:
    for pair in changes:
        for row in pair:
            if row is not None:
                yield row.work_date, row.department_id


def _chunks(ids: Sequence[EmployeeId]) -> Iterator[Sequence[EmployeeId]]:
    for start in range(0, len(ids), EMPLOYEES_AT_ONCE):
        yield ids[start : start + EMPLOYEES_AT_ONCE]


async def after_latest(connection: ReadConnection, employee_ids: Iterable[EmployeeId], first: date) -> date:
    """`first`, or earlier the date after the latest day of one of the employees: days are begun without a gap."""
    bounds = {"oldest": first - CATCH_UP, "newest": first - ONE_DAY}
    [(latest,)] = await connection.records(_LATEST, ids=sorted(set(employee_ids)), **bounds)
    return first if latest is None else cast("date", latest) + ONE_DAY


async def oldest_day(connection: ReadConnection, employee_id: EmployeeId) -> date | None:
    """The first known day of an employee."""
    [(found,)] = await connection.records(_OLDEST, id=employee_id)
    return cast("date | None", found)


async def days_by_key(connection: ReadConnection, keys: Sequence[DayKey]) -> dict[DayKey, DayRow]:
    """Days by (employee, date)."""
    employees, dates = zip(*keys, strict=True)
    around = {"first": min(dates), "last": max(dates)}  # lets partitions be left out
    rows = await connection.all(_BY_KEYS, DayRow, employees=employees, dates=dates, **around)
    return {row.key: row for row in rows}
