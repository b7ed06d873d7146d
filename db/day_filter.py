"""Which days: the one filter of lists, totals, statistics and recomputation."""

from datetime import date, datetime

import msgspec

from db.where import Where, within_reach
from domain.enums import DayStatus, WorkMode
from domain.ids import DepartmentId, EmployeeId, LocationId, ShiftId
from domain.permission import Reach


class DayFilter(msgspec.Struct, frozen=True):
    """Days from `first` to `last` of employees within `reach`; every other field that is given narrows further.

    Department, location, shift and manager are those of the day, as they were. `exceptions_mask` asks for any of its
    bits. `today_at` keeps only days of the local date that the employee's zone had at that instant.
    """

    reach: Reach
    first: date
    last: date
    department_ids: tuple[DepartmentId, ...] | None = None
    location_ids: tuple[LocationId, ...] | None = None
    shift_ids: tuple[ShiftId, ...] | None = None
    manager_id: EmployeeId | None = None
    employee_ids: tuple[EmployeeId, ...] | None = None
    statuses: tuple[DayStatus, ...] | None = None
    exceptions_mask: int | None = None
    late_minutes_gte: int | None = None
    overtime_minutes_gte: int | None = None
    work_modes: tuple[WorkMode, ...] | None = None
    overtime_unapproved: bool | None = None
    today_at: datetime | None = None

    @property
    def by_slice(self) -> bool:
        """Whether the filter can be answered from the roll-up."""
        by_day = (
            self.manager_id,
            self.employee_ids,
            self.statuses,
            self.exceptions_mask,
            self.late_minutes_gte,
            self.overtime_minutes_gte,
            self.work_modes,
            self.overtime_unapproved,
            self.today_at,
        )
        return self.reach.everyone and all(narrowing is None for narrowing in by_day)


def day_where(filter_: DayFilter) -> Where:
    """The conditions of a filter over `attendance_day d`, or over `attendance_stat d` when it is `by_slice`."""
    where = Where().add("d.work_date BETWEEN :first AND :last", first=filter_.first, last=filter_.last)
    if not filter_.reach.everyone:
        inner = Where()
        within_reach(inner, filter_.reach, "r")
        where.add(f"d.employee_id IN (SELECT r.id FROM employee r WHERE {inner.sql})", **inner.parameters)
    if filter_.department_ids is not None:
        where.add("d.department_id = ANY(CAST(:departments AS int[]))", departments=filter_.department_ids)
    if filter_.location_ids is not None:
        where.add("d.location_id = ANY(CAST(:locations AS int[]))", locations=filter_.location_ids)
    if filter_.shift_ids is not None:
        where.add("d.shift_id = ANY(CAST(:shifts AS int[]))", shifts=filter_.shift_ids)
    if not filter_.by_slice:
        _add_conditions_of_days(where, filter_)
    return where


def _add_conditions_of_days(where: Where, filter_: DayFilter) -> None:
    if filter_.manager_id is not None:
        where.add("d.manager_id = CAST(:manager AS bigint)", manager=filter_.manager_id)
    if filter_.employee_ids is not None:
        where.add("d.employee_id = ANY(CAST(:employees AS bigint[]))", employees=filter_.employee_ids)
    if filter_.statuses is not None:
        where.add("d.status = ANY(CAST(:statuses AS day_status[]))", statuses=filter_.statuses)
    if filter_.exceptions_mask is not None:
        where.add("d.exceptions & CAST(:exceptions AS int) <> 0", exceptions=filter_.exceptions_mask)
    if filter_.late_minutes_gte is not None:
        where.add("d.late_minutes >= CAST(:late_gte AS int)", late_gte=filter_.late_minutes_gte)
    if filter_.overtime_minutes_gte is not None:
        where.add("d.overtime_minutes >= CAST(:overtime_gte AS int)", overtime_gte=filter_.overtime_minutes_gte)
    if filter_.work_modes is not None:
        where.add("d.work_mode = ANY(CAST(:work_modes AS work_mode[]))", work_modes=filter_.work_modes)
    if filter_.overtime_unapproved is not None:
        comparison = "<" if filter_.overtime_unapproved else ">="
        where.add(f"d.overtime_minutes > 0 AND d.overtime_approved_minutes {comparison} d.overtime_minutes")
    if filter_.today_at is not None:
        where.add(
            "d.work_date = CAST(CAST(:today_at AS timestamptz) AT TIME ZONE d.time_zone AS date)",
            today_at=filter_.today_at,
        )
