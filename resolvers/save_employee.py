"""Adding and changing employees; a change of place takes effect on a date and keeps the places before it."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from db.assignment_writes import assignment, beside, insert_assignments, overlapping
from db.connection import WriteConnection
from db.days import CATCH_UP, derive_days, oldest_day
from db.employee_writes import (
    employee_for_update,
    employee_having,
    insert_employee,
    postings_for_update,
    replace_postings,
    reports_to,
    update_employee,
)
from db.punch_writes import adopt_unmatched, lock_badges
from db.rows import EmployeeRow
from domain.attendance.calendar import EVERY_WEEKDAY
from domain.attendance.work_days import zone
from domain.enums import EmployeeStatus
from domain.errors import UserProblem
from domain.ids import DepartmentId, EmployeeId, LocationId, ShiftId
from domain.periods import ONE_DAY
from loaders.departments import department_by_id
from loaders.employees import employee_by_id
from loaders.locations import location_by_id
from loaders.shifts import shift_by_id
from resolvers import places
from resolvers.arguments import EARLIEST, LATEST, given, id_of
from resolvers.changes import (
    Explanation,
    UserErrorValue,
    changed,
    check_version,
    forbidden,
    invalid,
    not_found,
    taken,
    text_of,
)
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.places import PLACE

LONGEST_AGO: Final = timedelta(days=400)


@strawberry.input(
    description="An employee. Without `id` a new one, which needs number, name, department, location and hiring date; "
    "with it only the fields that are given change, and null clears."
)
class EmployeeInput:
    id: ID | None = strawberry.field(default=UNSET, description="Which employee; a new one without it.")
    employee_no: str | None = strawberry.field(default=UNSET, description="The number in the company.")
    full_name: str | None = strawberry.field(default=UNSET, description="The full name.")
    email: str | None = strawberry.field(default=UNSET, description="The email address.")
    badge_no: str | None = strawberry.field(
        default=UNSET, description="The badge; punches that were kept for it become the employee's."
    )
    designation: str | None = strawberry.field(default=UNSET, description="What the employee does.")
    department_id: ID | None = strawberry.field(default=UNSET, description="The department.")
    location_id: ID | None = strawberry.field(default=UNSET, description="The location.")
    manager_id: ID | None = strawberry.field(default=UNSET, description="Who the employee reports to.")
    default_shift_id: ID | None = strawberry.field(
        default=UNSET, description="The shift of dates that have no assignment."
    )
    hired_on: date | None = strawberry.field(default=UNSET, description="The first day of employment.")
    left_on: date | None = strawberry.field(default=UNSET, description="The last day of employment.")
    effective_from: date | None = strawberry.field(
        default=UNSET,
        description="From when department, location and manager are new; today by default. On the date of a planned "
        "change it changes that plan; the place before it cancels the plan.",
    )
    cancel_planned: bool | None = strawberry.field(
        default=False, description="Whether changes of place that are planned for after today are dropped first."
    )
    expected_version: int | None = strawberry.field(
        default=UNSET, description="The version that was looked at: another one is a conflict."
    )


Person: TypeAlias = Annotated[EmployeeInput, strawberry.argument(description="The employee.")]


class Saved(msgspec.Struct, frozen=True):
    """Which employee was saved."""

    id: int


class EmployeePayload(msgspec.Struct, frozen=True):
    """The employee as they are now, or what was wrong."""

    employee: EmployeeRow | None
    user_errors: list[UserErrorValue]


async def save_employee(info: Info, input: Person) -> EmployeePayload:
    """Add or change an employee."""
    context = info.context

    async def work(connection: WriteConnection) -> Saved:
        if given(input.badge_no) is not None:
            await lock_badges(connection)
        text = given(input.id)
        if text is None:
            return Saved(await _add(context, connection, input))
        return Saved(await _change(context, connection, input, id_of(text, "Employee", "input.id", EmployeeId)))

    saved, problems = await changed(
        context,
        work,
        {
            "employee_employee_no_key": _taken(context, input, "employee_no", "number"),
            "employee_email_key": _taken(context, input, "email", "address"),
            "employee_badge_no_key": _taken(context, input, "badge_no", "badge"),
        },
    )
    row = None if saved is None else await context.load(employee_by_id, EmployeeId(saved.id))
    return EmployeePayload(row, problems)


def _taken(context: Context, input_: EmployeeInput, name: str, what: str) -> Explanation:
    """The problem of something that another employee has already; who, if the viewer may see them."""

    async def explained() -> UserProblem:
        value = text_of(getattr(input_, name), "")
        async with context.unit_of_work() as unit:
            row = await employee_having(unit.connection, name, value)
        seen = row if row is not None and context.require_viewer().identified.covers(row) else None
        message = f"another employee has the {what} {value!r} already; choose another"
        return taken(f"input.{to_camel_case(name)}", message, seen)

    return explained


async def _add(context: Context, connection: WriteConnection, input_: EmployeeInput) -> EmployeeId:
    for name, shown in (("department_id", "departmentId"), ("location_id", "locationId"), ("hired_on", "hiredOn")):
        if given(getattr(input_, name)) is None:
            raise invalid(f"input.{shown}", "a new employee needs it")
    if given(input_.expected_version) is not None:
        raise invalid("input.expectedVersion", "needed an id beside it; who is new has no version yet")
    if given(input_.effective_from) not in (None, input_.hired_on):
        raise invalid("input.effectiveFrom", f"needed hiredOn ({input_.hired_on}) or none: a new employee begins then")
    text_of(input_.employee_no, "input.employeeNo", 50)
    text_of(input_.full_name, "input.fullName")
    values = await _values(context, input_, None)
    today = await _today(context, None, values)
    _check_dates(values)
    if not _may_place(context, None, values):
        raise forbidden("input", "needed an HR grant for this department and location", "HR")
    status = _status(EmployeeStatus.ACTIVE, values, today)
    employee_id = await insert_employee(connection, {**values, "status": status})
    await replace_postings(connection, employee_id, [places.posting(employee_id, values["hired_on"], None, values)])
    await derive_days(
        connection, [employee_id], _beginning(values["hired_on"], today), today, context.now(), beside=True
    )
    await _adopt(context, connection, employee_id, values["badge_no"], values["hired_on"])
    return employee_id


async def _change(
    context: Context, connection: WriteConnection, input_: EmployeeInput, employee_id: EmployeeId
) -> EmployeeId:
    viewer = context.require_viewer()
    row = await employee_for_update(connection, employee_id)
    if row is None or not viewer.identified.covers(row):
        raise not_found("input.id", "employee")
    if not viewer.personnel.covers(row):
        raise forbidden("input.id", "needed an HR grant for this employee", "HR")
    check_version("input.expectedVersion", input_.expected_version, row)
    values = await _values(context, input_, row)
    _check_dates(values)
    today = await _today(context, row, values)
    effective = _effective_from(input_, values, today)
    stored = await postings_for_update(connection, row.id)
    postings = places.without_planned(stored, today) if given(input_.cancel_planned) else stored
    now = places.in_force(postings, effective) or row
    values |= {name: getattr(now, name) for name in PLACE if getattr(input_, name) is UNSET}
    if not _may_place(context, row, values):
        raise forbidden("input", "needed an HR grant for the new department and location", "HR")
    await _check_manager(connection, row, values["manager_id"])
    moves = any(values[name] != getattr(now, name) for name in PLACE)
    if given(input_.effective_from) and not moves:
        raise invalid("input.effectiveFrom", "needs a new department, location or manager beside it")
    present = {name: getattr(row, name) for name in PLACE} if effective > today else {}
    await update_employee(connection, row.id, {**values, **present, "status": _status(row.status, values, today)})
    if postings and values["hired_on"] != row.hired_on:
        postings = places.since_hiring(postings, values["hired_on"])
    if moves:
        postings = places.moved(postings, places.posting(row.id, effective, None, values))
    if postings != stored:
        await replace_postings(connection, row.id, postings)
    await _keep_shift(connection, row, values, effective)
    await _derive_again(context, connection, row, values, effective, today, moves=moves)
    if values["badge_no"] != row.badge_no:
        await _adopt(context, connection, row.id, values["badge_no"], values["hired_on"])
    return row.id


async def _values(context: Context, input_: EmployeeInput, row: EmployeeRow | None) -> dict[str, Any]:
    """Every column with its new value: what the input does not name stays."""
    found: dict[str, Any] = {
        "employee_no": _text(input_.employee_no, row.employee_no if row else None, "input.employeeNo", 50),
        "full_name": _text(input_.full_name, row.full_name if row else None, "input.fullName", 200),
        "email": _optional_text(input_.email, row.email if row else None, "input.email", 320),
        "badge_no": _optional_text(input_.badge_no, row.badge_no if row else None, "input.badgeNo", 64),
        "designation": _optional_text(input_.designation, row.designation if row else None, "input.designation", 200),
        "hired_on": _needed(input_.hired_on, row.hired_on if row else None, "input.hiredOn"),
        "left_on": row.left_on if row and input_.left_on is UNSET else given(input_.left_on),
    }
    if found["email"] is not None and "@" not in found["email"]:
        raise invalid("input.email", f"needed an email address, got {found['email']!r}")
    for name, shown, type_name, made, batch in REFERENCES:
        value = getattr(input_, name)
        if value is UNSET:
            found[name] = getattr(row, name) if row else None
            continue
        if value is None:
            if name in ("department_id", "location_id"):
                raise invalid(f"input.{shown}", f"needed a {type_name}, got null")
            found[name] = None
            continue
        found[name] = id_of(value, type_name, f"input.{shown}", made)
        if await context.load(batch, found[name]) is None:
            raise not_found(f"input.{shown}", type_name.lower())
    return found


REFERENCES: Final[tuple[tuple[str, str, str, Any, Any], ...]] = (
    ("department_id", "departmentId", "Department", DepartmentId, department_by_id),
    ("location_id", "locationId", "Location", LocationId, location_by_id),
    ("manager_id", "managerId", "Employee", EmployeeId, employee_by_id),
    ("default_shift_id", "defaultShiftId", "Shift", ShiftId, shift_by_id),
)


def _text(value: str | None, now: str | None, where: str, most: int) -> str:
    return now if value is UNSET and now is not None else text_of(value, where, most)


def _optional_text(value: str | None, now: str | None, where: str, most: int) -> str | None:
    if value is UNSET:
        return now
    return None if value is None else text_of(value, where, most)


def _needed(value: date | None, now: date | None, where: str) -> date:
    found = now if value is UNSET else value
    if found is None:
        raise invalid(where, "needed a date, got null")
    return found


def _check_dates(values: Mapping[str, Any]) -> None:
    for name, shown in (("hired_on", "hiredOn"), ("left_on", "leftOn")):
        day = values[name]
        if day is not None and not date(1950, 1, 1) <= day <= LATEST:
            raise invalid(f"input.{shown}", f"needed a date from 1950-01-01 to {LATEST}, got {day}")
    if values["left_on"] is not None and values["left_on"] < values["hired_on"]:
        raise invalid(
            "input.leftOn", f"needed a date not before hiredOn ({values['hired_on']}), got {values['left_on']}"
        )


class _Place(msgspec.Struct, frozen=True):
    """Where somebody would belong, for the question whether the viewer may put them there."""

    id: EmployeeId
    department_id: DepartmentId
    location_id: LocationId
    manager_id: EmployeeId | None


def _may_place(context: Context, row: EmployeeRow | None, values: Mapping[str, Any]) -> bool:
    place = _Place(row.id if row else EmployeeId(0), *(values[name] for name in PLACE))
    return context.require_viewer().personnel.covers(place)


async def _check_manager(connection: WriteConnection, row: EmployeeRow, manager_id: EmployeeId | None) -> None:
    if manager_id is None or manager_id == row.manager_id:
        return
    if await reports_to(connection, manager_id, row.id):
        raise invalid("input.managerId", "needed somebody who does not report to the employee, directly or not")


async def _today(context: Context, row: EmployeeRow | None, values: Mapping[str, Any]) -> date:
    """The date where the employee works from now on: by a zone of their own, else by that of the new location."""
    name = (await context.must(location_by_id, values["location_id"])).time_zone
    if row is not None and row.time_zone != (await context.must(location_by_id, row.location_id)).time_zone:
        name = row.time_zone
    return context.now().astimezone(zone(name)).date()


def _status(now: EmployeeStatus, values: Mapping[str, Any], today: date) -> EmployeeStatus:
    if values["left_on"] is not None and values["left_on"] < today:
        return EmployeeStatus.TERMINATED
    return EmployeeStatus.ACTIVE if now is EmployeeStatus.TERMINATED else now


def _beginning(hired_on: date, today: date) -> date:
    """The first day of somebody of whom no day is known: the same that the upkeep begins with."""
    return hired_on if hired_on >= today - CATCH_UP else today


def _effective_from(input_: EmployeeInput, values: Mapping[str, Any], today: date) -> date:
    effective = given(input_.effective_from) or max(today, values["hired_on"])
    if not max(EARLIEST, values["hired_on"]) <= effective <= LATEST:
        raise invalid("input.effectiveFrom", f"needed a date from {values['hired_on']} to {LATEST}, got {effective}")
    return effective


async def _keep_shift(
    connection: WriteConnection, row: EmployeeRow, values: Mapping[str, Any], effective: date
) -> None:
    """Dates before `effective` keep the default shift that they had, as assignments where there are none."""
    last = effective - ONE_DAY
    if values["default_shift_id"] == row.default_shift_id or row.default_shift_id is None or last < row.hired_on:
        return
    others = await overlapping(connection, [row.id], row.hired_on, last, EVERY_WEEKDAY)
    past = assignment(row.id, row.default_shift_id, row.hired_on, last, EVERY_WEEKDAY)
    await insert_assignments(connection, beside(past, others))


async def _derive_again(
    context: Context,
    connection: WriteConnection,
    row: EmployeeRow,
    values: Mapping[str, Any],
    effective: date,
    today: date,
    *,
    moves: bool,
) -> None:
    """Derive the days that the change can touch; days from before the first known one are not made up."""
    known = await oldest_day(connection, row.id)
    bound = _beginning(values["hired_on"], today) if known is None else known
    if known is not None and known <= row.hired_on:
        bound = min(known, values["hired_on"])
    starts = [effective] if moves else []
    if values["default_shift_id"] != row.default_shift_id:
        starts.append(bound if row.default_shift_id is None else effective)
    for name in ("hired_on", "left_on"):
        if values[name] != getattr(row, name):
            starts += [day for day in (values[name], getattr(row, name)) if day is not None]
    last = context.now().date() + ONE_DAY
    if starts and min(starts) <= last:
        first = max(min(starts), bound, last - LONGEST_AGO)
        await derive_days(connection, [row.id], first, last, context.now(), beside=True)


async def _adopt(
    context: Context, connection: WriteConnection, employee_id: EmployeeId, badge_no: str | None, hired_on: date
) -> None:
    """Punches that were kept for the badge become the employee's."""
    if badge_no is None:
        return
    instants = await adopt_unmatched(connection, badge_no, employee_id)
    if instants:
        first = max(hired_on, min(instants).date() - 2 * ONE_DAY)
        last = max(instants).date() + ONE_DAY
        await derive_days(connection, [employee_id], first, last, context.now(), beside=True)
