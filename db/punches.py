"""Punches by id and by day as the rules attribute them; plans and explanations of days, from the same facts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.facts import company_facts, employee_facts
from db.rows import PunchRow, Row
from domain.attendance.derivation import Step, steps_of
from domain.attendance.work_days import EmployeeFacts, WorkDay, planned_days, work_days
from domain.enums import DayType, PlanOrigin
from domain.ids import DayKey, EmployeeId, PunchId, ShiftId, ShiftRuleId

_COLUMNS = ", ".join(f"p.{name}" for name in PunchRow.__struct_fields__)
_BY_ID = Query("punch_by_id", text(f"SELECT {_COLUMNS} FROM punch p WHERE p.id = ANY(CAST(:ids AS bigint[]))"))
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


class ScheduleKey(msgspec.Struct, frozen=True):
    """The plans of an employee from `first` to `last`."""

    employee_id: EmployeeId
    first: date
    last: date


async def punches_by_id(connection: ReadConnection, ids: Sequence[PunchId]) -> dict[PunchId, PunchRow]:
    """Punches by id."""
    return {row.id: row for row in await connection.all(_BY_ID, PunchRow, ids=ids)}


async def punches_of_days(connection: ReadConnection, keys: Sequence[DayKey]) -> dict[DayKey, tuple[PunchRow, ...]]:
    """The punches that the rules give to each day, and the voided ones of its date, in the order of time."""
    rows = await _punches_around(connection, keys)
    by_id = {row.id: row for row in rows}
    found: defaultdict[DayKey, list[PunchRow]] = defaultdict(list)
    for key, day in (await _derived(connection, keys)).items():
        found[key] += [by_id[punch_id] for punch in day.punches if (punch_id := _punch_id(punch.id)) in by_id]
        zone = day.planned.zone
        found[key] += [
            row
            for row in rows
            if row.voided and row.employee_id == key[0] and row.punched_at.astimezone(zone).date() == key[1]
        ]
    return {key: tuple(sorted(of_day, key=lambda row: (row.punched_at, row.id))) for key, of_day in found.items()}


async def explained_days(connection: ReadConnection, keys: Sequence[DayKey]) -> dict[DayKey, tuple[ExplainedStep, ...]]:
    """The steps behind each day, by the same code that derived it."""
    by_id = {row.id: row for row in await _punches_around(connection, keys)}
    return {
        key: tuple(_explained(step, by_id) for step in _steps(day))
        for key, day in (await _derived(connection, keys)).items()
    }


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


async def _derived(connection: ReadConnection, keys: Sequence[DayKey]) -> Mapping[DayKey, WorkDay]:
    """Derive the days of keys; keys of one stretch of dates share the statements."""
    first, last = min(day for _, day in keys), max(day for _, day in keys)
    wanted = set(keys)
    company = await company_facts(connection, first, last)
    now = datetime.now(UTC)
    found = {}
    for employee in await employee_facts(connection, sorted({employee for employee, _ in keys}), first, last):
        for day in _days_of(employee, wanted):
            for work_day in work_days(employee, company, day, day, now):
                found[employee.id, day] = work_day
    return found


def _days_of(employee: EmployeeFacts, wanted: Iterable[DayKey]) -> list[date]:
    return sorted(day for employee_id, day in wanted if employee_id == employee.id)


def _steps(day: WorkDay) -> list[Step]:
    planned = day.planned
    origin = f"{planned.origin} shift" if planned.origin else "no shift"
    rule = f"rule version {planned.rule_id}" if planned.rule_id else "no rule"
    steps = [Step("rule", f"{origin}, {rule}, {planned.time_zone}", planned.rule_id), *steps_of(day.found)]
    if day.overridden:
        steps.append(Step("override", f"decided by a person: {day.derived.status}", str(day.derived.status)))
    return steps


def _explained(step: Step, by_id: Mapping[PunchId, PunchRow]) -> ExplainedStep:
    punches = tuple(by_id[punch_id] for number in step.punch_ids if (punch_id := _punch_id(number)) in by_id)
    value = step.value if isinstance(step.value, str | int | list) else None
    return ExplainedStep(step.step, step.detail, value, punches)


def _punch_id(number: int | None) -> PunchId:
    return PunchId(number or 0)


async def _punches_around(connection: ReadConnection, keys: Sequence[DayKey]) -> list[PunchRow]:
    first, last = min(day for _, day in keys), max(day for _, day in keys)
    return await connection.all(
        _AROUND,
        PunchRow,
        employees=sorted({employee for employee, _ in keys}),
        from_instant=datetime.combine(first - timedelta(days=2), time(), UTC),
        to_instant=datetime.combine(last + timedelta(days=4), time(), UTC),
    )
