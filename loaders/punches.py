"""Lookups of punches, plans and explanations: all of them from the facts that days are derived from."""

from datetime import date, timedelta

from cache.policy import Policy
from db import punches, tags
from db.punches import DayPunches, ExplainedStep, ExplainKey, PlanRow, ScheduleKey
from db.rows import PunchRow
from domain.ids import EmployeeId
from domain.periods import months_of
from loaders.batch import Batch


def _plan_tags(employee_id: EmployeeId) -> tuple[str, ...]:
    return (
        tags.EMPLOYEE(employee_id),
        tags.POSTING_EMPLOYEE(employee_id),
        tags.ASSIGNMENT_EMPLOYEE(employee_id),
        tags.ROSTER_EMPLOYEE(employee_id),
        tags.LOCATION_ANY(),
        tags.WORK_WEEK_ANY(),
        tags.HOLIDAY_ANY(),
        tags.SHIFT_RULE_ANY(),
    )


def _month_tags(employee_id: EmployeeId, first: date, last: date) -> tuple[str, ...]:
    return tuple(tags.PUNCH_MONTH(employee_id, f"{month:%Y-%m}") for month in months_of(first, last))


def _attributed_tags(employee_id: EmployeeId, day: date) -> tuple[str, ...]:
    around = timedelta(days=6)
    return *_plan_tags(employee_id), *_month_tags(employee_id, day - around, day + around)


def _explained_tags(key: ExplainKey) -> tuple[str, ...]:
    employee_id, day = key.day
    return (
        *_attributed_tags(employee_id, day),
        tags.LEAVE_EMPLOYEE(employee_id),
        tags.OVERRIDE_EMPLOYEE(employee_id),
        tags.DAY_EMPLOYEE_MONTH(employee_id, f"{day:%Y-%m}"),
    )


def _schedule_tags(key: ScheduleKey) -> tuple[str, ...]:
    return _plan_tags(key.employee_id)


punch_by_id = Batch(punches.punches_by_id, Policy("punch", PunchRow, "attendance", lambda key: (tags.PUNCH(key),)))
punches_of_day = Batch(
    punches.punches_of_days,
    Policy("punches_of_day", DayPunches, "attendance", lambda key: _attributed_tags(*key)),
    absent=DayPunches(),
)
date_of_punch = Batch(
    punches.dates_of_punches,
    Policy("date_of_punch", date, "attendance", lambda key: _attributed_tags(key.employee_id, key.punched_at.date())),
)
punches_of_employee = Batch(
    punches.punches_of_employees,
    Policy(
        "punches_of_employee",
        tuple[PunchRow, ...],
        "attendance",
        lambda key: _month_tags(key.employee_id, key.since.date(), key.until.date()),
    ),
    absent=(),
)
explained_day = Batch(
    punches.explained_days, Policy("explained_day", tuple[ExplainedStep, ...], "attendance", _explained_tags), absent=()
)
schedule = Batch(punches.schedules, Policy("schedule", tuple[PlanRow, ...], "attendance", _schedule_tags), absent=())
