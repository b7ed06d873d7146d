"""Filters of the API into filters of the database: ids decoded, departments expanded, and always within reach."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from db.day_filter import DayFilter
from db.days import exceptions_mask
from db.employees import EmployeeFilter as EmployeeRows
from domain.errors import BadUserInput
from domain.ids import DepartmentId, EmployeeId, LocationId, ShiftId
from domain.periods import Dates
from domain.permission import Reach, Viewer
from loaders.departments import ALL, department_tree
from resolvers.arguments import dates_of, given, id_of, ids_of, period_of, sought
from resolvers.context import Context
from resolvers.inputs import AttendanceFilter, EmployeeFilter, OrgScope


class Scope(msgspec.Struct, frozen=True):
    """An OrgScope with its ids decoded and its departments expanded."""

    department_ids: tuple[DepartmentId, ...] | None = None
    location_ids: tuple[LocationId, ...] | None = None
    shift_ids: tuple[ShiftId, ...] | None = None
    manager_id: EmployeeId | None = None
    employee_ids: tuple[EmployeeId, ...] | None = None

    @property
    def picks_people(self) -> bool:
        """Whether somebody is picked out, who has to be seen by name for that."""
        return self.manager_id is not None or self.employee_ids is not None


async def scope_of(context: Context, scope: OrgScope | None, where: str) -> Scope:
    """Decode a scope."""
    scope = given(scope)
    if scope is None:
        return Scope()
    return Scope(
        await _departments(context, scope, where),
        ids_of(scope.location_ids, "Location", f"{where}.locationIds", LocationId),
        ids_of(scope.shift_ids, "Shift", f"{where}.shiftIds", ShiftId),
        _manager(context, scope, where),
        ids_of(scope.employee_ids, "Employee", f"{where}.employeeIds", EmployeeId),
    )


async def _departments(context: Context, scope: OrgScope, where: str) -> tuple[DepartmentId, ...] | None:
    named = ids_of(scope.department_ids, "Department", f"{where}.departmentIds", DepartmentId)
    if not named:
        return named
    tree = await context.must(department_tree, ALL)
    for index, department in enumerate(named):
        if department not in tree.parent_by_id:
            raise BadUserInput(f"{where}.departmentIds[{index}]: there is no such department")
    return named if given(scope.include_subdepartments) is False else tree.subtrees(named)


def _manager(context: Context, scope: OrgScope, where: str) -> EmployeeId | None:
    text = given(scope.manager_id)
    named = None if text is None else id_of(text, "Employee", f"{where}.managerId", EmployeeId)
    if not given(scope.my_team):
        return named
    own = context.require_viewer().employee_id
    if own is None:
        raise BadUserInput(f"{where}.myTeam: the signed-in user has no employee record, so nobody reports to them")
    if named is not None and named != own:
        raise BadUserInput(f"{where}: needed one of myTeam and managerId, got both with different managers")
    return own


async def day_filter(
    context: Context, filter_: AttendanceFilter, by_name: bool = False, where: str = "filter"
) -> tuple[DayFilter, Dates]:
    """The days of an AttendanceFilter within the viewer's reach, and its dates."""
    dates = await period_of(context, filter_.period, f"{where}.period")
    scope = await scope_of(context, filter_.scope, f"{where}.scope")
    exceptions = given(filter_.exceptions)
    found = DayFilter(
        reach=reach_of(context.require_viewer(), by_name or scope.picks_people),
        first=dates.first,
        last=dates.last,
        **_fields(scope),
        statuses=_tuple(filter_.statuses),
        exceptions_mask=None if exceptions is None else exceptions_mask(set(exceptions)),
        late_minutes_gte=given(filter_.late_minutes_gte),
        overtime_minutes_gte=given(filter_.overtime_minutes_gte),
        work_modes=_tuple(filter_.work_modes),
        overtime_unapproved=given(filter_.overtime_unapproved),
    )
    return found, dates


async def today_filter(context: Context, scope: OrgScope | None, at: datetime) -> DayFilter:
    """The days that are today where each employee works."""
    day = at.date().toordinal()
    found = await scope_of(context, scope, "scope")
    return DayFilter(
        reach=reach_of(context.require_viewer(), found.picks_people),
        first=date.fromordinal(day - 1),
        last=date.fromordinal(day + 1),
        **_fields(found),
        today_at=at,
    )


async def employee_filter(
    context: Context, filter_: EmployeeFilter | None, by_name: bool = False, where: str = "filter"
) -> EmployeeRows:
    """The employees of an EmployeeFilter within the viewer's reach."""
    viewer = context.require_viewer()
    filter_ = given(filter_)
    if filter_ is None:
        return EmployeeRows(reach_of(viewer, by_name))
    scope = await scope_of(context, filter_.scope, f"{where}.scope")
    hired_in, active_on = given(filter_.hired_in), given(filter_.active_on)
    hired = None if hired_in is None else dates_of(hired_in, f"{where}.hiredIn", 400 * 366)
    search = sought(filter_.search, f"{where}.search")
    return EmployeeRows(
        reach=reach_of(viewer, by_name or search is not None or scope.picks_people),
        search=search,
        **_fields(scope),
        on_date=None if scope.shift_ids is None else await context.today(),
        statuses=_tuple(filter_.statuses),
        hired_from=hired.first if hired else None,
        hired_to=hired.last if hired else None,
        employed_from=active_on,
        employed_to=active_on,
    )


def reach_of(viewer: Viewer, by_name: bool) -> Reach:
    """Whom a question is about: one that goes by names, numbers, ids or managers finds only those seen by name."""
    return viewer.identified if by_name else viewer.seen


def _fields(scope: Scope) -> dict[str, Any]:
    return msgspec.structs.asdict(scope)


def _tuple(values: Sequence[Any] | None) -> tuple[Any, ...] | None:
    found = given(values)
    return None if found is None else tuple(sorted(set(found)))
