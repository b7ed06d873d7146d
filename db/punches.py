"""Punches by id, by employee and by day as the rules attribute them; plans and explanations, from the same facts."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.facts import company_facts, employee_facts
from db.rows import PunchRow, Row
from domain.attendance.derivation import Step, steps_of
from domain.attendance.work_days import (
    Company,
    EmployeeFacts,
    GatheredDay,
    WorkDay,
    gathered_days,
    planned_days,
    work_days,
)
from domain.enums import DayType, PlanOrigin
from domain.ids import DayKey, EmployeeId, PunchId, ShiftId, ShiftRuleId, month_of_punch
from domain.periods import ONE_DAY

ANY_TIME: Final = (date(1900, 1, 1), date(3000, 1, 1))

_COLUMNS = ", ".join(f"p.{name}" for name in PunchRow.__struct_fields__)
_BY_ID = Query(
    "punch_by_id",
    text(f"""
    SELECT {_COLUMNS} FROM punch p WHERE p.id = ANY(CAST(:ids AS bigint[]))
    AND p.punched_at >= CAST(:since AS timestamptz) AND p.punched_at < CAST(:until AS timestamptz)"""),
)
_AROUND = Query(
    "punches_around",
    text(f"""
    SELECT {_COLUMNS} FROM punch p WHERE p.employee_id = ANY(CAST(:employees AS bigint[]))
    AND p.punched_at >= CAST(:from_instant AS timestamptz) AND p.punched_at < CAST(:to_instant AS timestamptz)
    ORDER BY p.punched_at, p.id"""),
)


class PlanRow(Row, frozen=True, array_like=True):
    """The plan of a date; `starts_at` and `ends_at` are UTC and absent on a day off."""

    employee_id: EmployeeId
    date: date
    shift_id: ShiftId | None
    shift_rule_id: ShiftRuleId | None
    day_type: DayType
    starts_at: datetime | None
    ends_at: datetime | None
    time_zone: str
    origin: PlanOrigin | None


class ExplainedStep(msgspec.Struct, frozen=True, array_like=True):
    """One step of a derivation with the punches that it rests on."""

    step: str
    detail: str
    value: str | int | list[int] | None
    punches: tuple[PunchRow, ...]


class DayPunches(msgspec.Struct, frozen=True, array_like=True):
    """The punches that the rules give to a day with the voided ones of its date, and those of its date of no day."""

    of_day: tuple[PunchRow, ...] = ()
    of_no_day: tuple[PunchRow, ...] = ()


class PunchKey(msgspec.Struct, frozen=True):
    """A punch, and where to look for its day."""

    punch_id: PunchId
    employee_id: EmployeeId
    punched_at: datetime


class PunchesKey(msgspec.Struct, frozen=True):
    """The punches of an employee from `since` to before `until`."""

    employee_id: EmployeeId
    since: datetime
    until: datetime


class ExplainKey(msgspec.Struct, frozen=True):
    """A day as it comes out at a minute, which is the same for all keys of a request."""

    day: DayKey
    now: datetime


class ScheduleKey(msgspec.Struct, frozen=True):
    """The plans of an employee from `first` to `last`."""

    employee_id: EmployeeId
    first: date
    last: date


async def punches_by_id(connection: ReadConnection, ids: Sequence[PunchId]) -> dict[PunchId, PunchRow]:
    """Punches by id, from the partitions of their months."""
    rows = await connection.all(_BY_ID, PunchRow, ids=ids, **months_of_punches(ids))
    return {row.id: row for row in rows}


def months_of_punches(ids: Sequence[PunchId]) -> dict[str, datetime]:
    """From when to when punches have to be looked for: `since`, and before `until`."""
    months = [month_of_punch(punch_id) or ANY_TIME for punch_id in ids]
    first, last = min(since for since, _ in months), max(until for _, until in months)
    return {"since": datetime.combine(first, time(), UTC), "until": datetime.combine(last, time(), UTC)}


async def punches_of_days(connection: ReadConnection, keys: Sequence[DayKey]) -> dict[DayKey, DayPunches]:
    """The punches of each day as the rules attribute them, in the order of time."""
    rows = await _punches_around(connection, keys)
    found = {}
    for employee, company, dates in await _facts(connection, keys):
        own = [row for row in rows if row.employee_id == employee.id]
        for day in (gathered for date_ in dates for gathered in gathered_days(employee, company, date_, date_)):
            found[employee.id, day.planned.work_date] = _day_punches(day, own)
    return found


def _day_punches(day: GatheredDay, rows: Sequence[PunchRow]) -> DayPunches:
    of_day, of_no_day = ({punch.id for punch in punches} for punches in (day.punches, day.unattributed))
    zone, work_date = day.planned.zone, day.planned.work_date
    return DayPunches(
        tuple(
            row
            for row in rows
            if row.id in of_day or (row.voided and row.punched_at.astimezone(zone).date() == work_date)
        ),
        tuple(row for row in rows if row.id in of_no_day),
    )


async def dates_of_punches(connection: ReadConnection, keys: Sequence[PunchKey]) -> dict[PunchKey, date]:
    """The date of the day that each punch belongs to; those of no day are not in the mapping."""
    around = [(key.employee_id, key.punched_at.date() + days * ONE_DAY) for key in keys for days in (-2, 1)]
    date_by_punch: dict[int | None, date] = {}
    for employee, company, dates in await _facts(connection, around):
        for day in gathered_days(employee, company, dates[0], dates[-1]):
            date_by_punch |= {punch.id: day.planned.work_date for punch in day.punches}
    return {key: found for key in keys if (found := date_by_punch.get(key.punch_id)) is not None}


async def punches_of_employees(
    connection: ReadConnection, keys: Sequence[PunchesKey]
) -> dict[PunchesKey, tuple[PunchRow, ...]]:
    """All punches of each employee and time, voided ones as well, in the order of time."""
    rows = await connection.all(
        _AROUND,
        PunchRow,
        employees=sorted({key.employee_id for key in keys}),
        from_instant=min(key.since for key in keys),
        to_instant=max(key.until for key in keys),
    )
    return {
        key: tuple(
            row for row in rows if row.employee_id == key.employee_id and key.since <= row.punched_at < key.until
        )
        for key in keys
    }


async def explained_days(
    connection: ReadConnection, keys: Sequence[ExplainKey]
) -> dict[ExplainKey, tuple[ExplainedStep, ...]]:
    """The steps behind each day as of an instant, by the same code that derived it."""
    by_id = {row.id: row for row in await _punches_around(connection, [key.day for key in keys])}
    now_by_day = {key.day: key.now for key in keys}
    found = {}
    for employee, company, dates in await _facts(connection, list(now_by_day)):
        for date_ in dates:
            now = now_by_day[employee.id, date_]
            for day in work_days(employee, company, date_, date_, now):
                steps = tuple(_explained(step, by_id) for step in _steps(day))
                found[ExplainKey((employee.id, date_), now)] = steps
    return found


async def schedules(connection: ReadConnection, keys: Sequence[ScheduleKey]) -> dict[ScheduleKey, tuple[PlanRow, ...]]:
    """The plans of each key by date."""
    found: dict[ScheduleKey, tuple[PlanRow, ...]] = {}
    for first, last in dict.fromkeys((key.first, key.last) for key in keys):
        company = await company_facts(connection, first, last)
        ids = [key.employee_id for key in keys if (key.first, key.last) == (first, last)]
        for employee in await employee_facts(connection, ids, first, last):
            plans = planned_days(employee, company, first, last)
            found[ScheduleKey(employee.id, first, last)] = tuple(
                PlanRow(
                    employee.id,
                    planned.work_date,
                    planned.shift_id,
                    planned.rule_id,
                    planned.plan.day_type,
                    planned.plan.starts_at if planned.is_worked else None,
                    planned.plan.ends_at if planned.is_worked else None,
                    planned.time_zone,
                    planned.origin,
                )
                for planned in plans
            )
    return found


async def _facts(
    connection: ReadConnection, keys: Sequence[DayKey]
) -> Iterator[tuple[EmployeeFacts, Company, list[date]]]:
    """What the days of each employee among the keys are derived from, and their dates; read for all of them at once."""
    first, last = min(day for _, day in keys), max(day for _, day in keys)
    company = await company_facts(connection, first, last)
    people = await employee_facts(connection, sorted({employee for employee, _ in keys}), first, last)
    dates: defaultdict[EmployeeId, set[date]] = defaultdict(set)
    for employee_id, day in keys:
        dates[employee_id].add(day)
    return ((employee, company, sorted(dates[employee.id])) for employee in people)


def _steps(day: WorkDay) -> list[Step]:
    planned = day.planned
    origin = f"{planned.origin} shift" if planned.origin else "no shift"
    rule = f"rule version {planned.rule_id}" if planned.rule_id else "no rule"
    steps = [Step("rule", f"{origin}, {rule}, {planned.time_zone}", planned.rule_id), *steps_of(day.found)]
    if day.overridden:
        steps.append(Step("override", f"decided by a person: {day.derived.status}", str(day.derived.status)))
    if day.unattributed:
        ids = tuple(punch.id for punch in day.unattributed if punch.id)
        steps.append(Step("unattributed", "made on this date in no window: of no day", len(ids), ids))
    return steps


def _explained(step: Step, by_id: Mapping[PunchId, PunchRow]) -> ExplainedStep:
    punches = tuple(by_id[punch_id] for number in step.punch_ids if (punch_id := PunchId(number)) in by_id)
    value = step.value if isinstance(step.value, str | int | list) else None
    return ExplainedStep(step.step, step.detail, value, punches)


async def _punches_around(connection: ReadConnection, keys: Sequence[DayKey]) -> list[PunchRow]:
    first, last = min(day for _, day in keys), max(day for _, day in keys)
    return await connection.all(
        _AROUND,
        PunchRow,
        employees=sorted({employee for employee, _ in keys}),
        from_instant=datetime.combine(first - timedelta(days=2), time(), UTC),
        to_instant=datetime.combine(last + timedelta(days=4), time(), UTC),
    )
