"""Lookups of punches, plans and explanations: all of them from the facts that days are derived from."""

from datetime import timedelta

from cache.policy import Policy
from db import punches, tags
from db.punches import ExplainedStep, PlanRow, ScheduleKey
from db.rows import PunchRow
from domain.ids import DayKey, EmployeeId
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


def _day_tags(key: DayKey) -> tuple[str, ...]:
    employee_id, day = key
    punch_months = months_of(day - timedelta(days=4), day + timedelta(days=4))
    return (
        *_plan_tags(employee_id),
        tags.LEAVE_EMPLOYEE(employee_id),
        tags.OVERRIDE_EMPLOYEE(employee_id),
        tags.DAY_EMPLOYEE_MONTH(employee_id, f"{day:%Y-%m}"),
        *(tags.PUNCH_MONTH(employee_id, f"{month:%Y-%m}") for month in punch_months),
    )


def _schedule_tags(key: ScheduleKey) -> tuple[str, ...]:
    return _plan_tags(key.employee_id)


punch_by_id = Batch(punches.punches_by_id, Policy("punch", PunchRow, "attendance", lambda key: (tags.PUNCH(key),)))
punches_of_day = Batch(
    punches.punches_of_days, Policy("punches_of_day", tuple[PunchRow, ...], "attendance", _day_tags), absent=()
)
explained_day = Batch(
    punches.explained_days, Policy("explained_day", tuple[ExplainedStep, ...], "attendance", _day_tags), absent=()
)
schedule = Batch(punches.schedules, Policy("schedule", tuple[PlanRow, ...], "attendance", _schedule_tags), absent=())
