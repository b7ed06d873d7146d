"""Lookups of days, lists of days and everything that is summed up from them.

What a list or a sum depends on: for few dates each date (of the departments, when they are named), for many dates their
months, for named employees their months. Within a narrowed reach it depends on who is within it as well.
"""

from datetime import date
from typing import Final

from cache.policy import Policy
from db import dashboard, day_pages, days, stats, tags
from db.dashboard import PresenceFacts, PresenceKey, Today
from db.day_filter import DayFilter
from db.day_pages import DayPageKey, DaysOfEmployeeKey
from db.keyset import Page
from db.rows import DayRow
from db.stats import DepartmentStatKey, Groups, Headcount, HeadcountKey, StatKey
from domain.attendance.metrics import Sums
from domain.ids import DayKey
from domain.periods import months_of
from domain.permission import NOBODY
from loaders.batch import Batch

MOST_DATES: Final = 7
MOST_NAMED: Final = 50


def day_tags(filter_: DayFilter) -> tuple[str, ...]:
    """What the days of a filter depend on."""
    found = _dated_tags(filter_)
    return found if filter_.reach.everyone else (*found, tags.EMPLOYEE_ANY())


def _dated_tags(filter_: DayFilter) -> tuple[str, ...]:
    months = [f"{month:%Y-%m}" for month in months_of(filter_.first, filter_.last)]
    named = filter_.employee_ids
    if named is not None and len(named) * len(months) <= MOST_NAMED:
        return tuple(tags.DAY_EMPLOYEE_MONTH(employee, month) for employee in named for month in months)
    dates = [date.fromordinal(n) for n in range(filter_.first.toordinal(), filter_.last.toordinal() + 1)]
    if len(dates) > MOST_DATES:
        return tuple(tags.DAY_MONTH(month) for month in months)
    departments = filter_.department_ids
    if departments is not None and len(departments) * len(dates) <= MOST_NAMED:
        return tuple(tags.DAY_DEPARTMENT_DATE(department, day) for department in departments for day in dates)
    return tuple(tags.DAY_DATE(day) for day in dates)


def _page_tags(key: DayPageKey) -> tuple[str, ...]:
    found = day_tags(key.filter)
    return (*found, tags.EMPLOYEE_ANY()) if any(name.startswith("EMPLOYEE") for name, _ in key.order) else found


def _stat_tags(key: StatKey) -> tuple[str, ...]:
    return _grouped_tags(key)


def _headcount_tags(key: HeadcountKey) -> tuple[str, ...]:
    return _grouped_tags(key)


def _grouped_tags(key: StatKey | HeadcountKey) -> tuple[str, ...]:
    found = day_tags(key.filter)
    of_people = "EMPLOYMENT_TYPE" in key.group_by or key.named not in (None, NOBODY)
    return (*found, tags.EMPLOYEE_ANY()) if of_people else found


def _employee_months(key: DaysOfEmployeeKey) -> tuple[str, ...]:
    months = months_of(key.first, key.last)
    return tuple(tags.DAY_EMPLOYEE_MONTH(key.employee_id, f"{month:%Y-%m}") for month in months)


def _day_tags(key: DayKey) -> tuple[str, ...]:
    return (tags.DAY_EMPLOYEE_MONTH(key[0], f"{key[1]:%Y-%m}"),)


def _presence_tags(key: PresenceKey) -> tuple[str, ...]:
    day = key.minute.date().toordinal()
    months = months_of(date.fromordinal(day - 2), date.fromordinal(day + 1))
    of_employee = [tags.DAY_EMPLOYEE_MONTH(key.employee_id, f"{month:%Y-%m}") for month in months]
    return (*of_employee, tags.SHIFT_RULE_ANY())


def _department_tags(key: DepartmentStatKey) -> tuple[str, ...]:
    return (*day_tags(key.filter), tags.DEPARTMENT_ANY())


day_by_key = Batch(days.days_by_key, Policy("day", DayRow, "attendance", _day_tags))
days_of_employee = Batch(
    day_pages.days_of_employees,
    Policy("days_of_employee", tuple[DayRow, ...], "attendance", _employee_months),
    absent=(),
)
pages_of_days = Batch(day_pages.day_pages, Policy("days", Page[DayRow], "list", _page_tags))
day_counts = Batch(day_pages.day_counts, Policy("day_count", int, "aggregate", day_tags), absent=0)
stat_groups = Batch(stats.stats, Policy("stats", Groups, "aggregate", _stat_tags))
headcounts = Batch(
    stats.headcounts, Policy("headcount", tuple[Headcount, ...], "aggregate", _headcount_tags), absent=()
)
stats_of_department = Batch(
    stats.stats_of_departments, Policy("stats_of_department", Sums, "aggregate", _department_tags), absent=Sums()
)
dashboards = Batch(
    dashboard.dashboards,
    Policy("today", Today, "aggregate", lambda key: (*day_tags(key.around), tags.SHIFT_RULE_ANY())),
)
open_exceptions = Batch(
    dashboard.open_exceptions,
    Policy("open_exceptions", int, "aggregate", lambda key: day_tags(key.filter)),
    absent=0,
)
presences = Batch(dashboard.presences, Policy("presence", PresenceFacts, "attendance", _presence_tags))
