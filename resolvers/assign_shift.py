"""Assigning a shift to employees for a range of dates."""

from datetime import date, timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.assignment_writes import assignment, delete_assignments, insert_assignments, overlapping, without
from db.connection import WriteConnection
from db.days import derive_days, lock_employees
from db.rows import AssignmentRow, EmployeeRow
from domain.attendance.calendar import EVERY_WEEKDAY
from domain.errors import ErrorCode, UserProblem
from domain.ids import EmployeeId, ShiftId, encode_id
from domain.periods import ONE_DAY
from loaders.employees import employee_by_id
from loaders.shifts import shift_by_id
from resolvers.arguments import EARLIEST, LATEST, given, id_of, ids_of
from resolvers.changes import Problems, UserErrorValue, changed, forbidden, invalid, not_found, problem
from resolvers.context import Context, Info
from resolvers.inputs import ID

MOST_EMPLOYEES: Final = 1_000
OLDEST: Final = timedelta(days=400)


@strawberry.input(description="A shift for employees from a date on.")
class AssignShiftInput:
    employee_ids: list[ID] = strawberry.field(description="For whom; at most 1000.")
    shift_id: ID = strawberry.field(description="Which shift.")
    from_: date = strawberry.field(name="from", description="The first date.")
    to: date | None = strawberry.field(default=UNSET, description="The last date; open without one.")
    iso_weekdays: list[int] | None = strawberry.field(
        default=UNSET, description="On which weekdays, 1 for Monday to 7; on all by default."
    )
    replace_overlapping: bool | None = strawberry.field(
        default=False, description="Whether other assignments give way; otherwise an overlap is an error."
    )
    dry_run: bool | None = strawberry.field(default=False, description="Only count what it would do.")


Assign: TypeAlias = Annotated[AssignShiftInput, strawberry.argument(description="Who gets which shift when.")]


class Assigned(msgspec.Struct, frozen=True):
    """Who got the shift, and how many days were derived again."""

    employee_ids: list[int]
    recomputed_days: int


class AssignShiftPayload(msgspec.Struct, frozen=True):
    """The employees, and how many days were derived again; or what was wrong."""

    employees: list[EmployeeRow]
    recomputed_days: int
    user_errors: list[UserErrorValue]


class Wanted(msgspec.Struct, frozen=True):
    """The input, decoded and checked."""

    texts: list[str]
    employees: list[EmployeeRow]
    shift_id: ShiftId
    first: date
    last: date | None
    iso_weekdays: int


async def assign_shift(info: Info, input: Assign) -> AssignShiftPayload:
    """Assign a shift and derive the days that have begun again."""
    context = info.context

    async def work(connection: WriteConnection) -> Assigned:
        wanted = await _wanted(context, input)
        ids = [employee.id for employee in wanted.employees]
        await lock_employees(connection, ids)
        await _make_room(context, connection, wanted, replace=given(input.replace_overlapping) is True)
        await insert_assignments(
            connection,
            [assignment(id_, wanted.shift_id, wanted.first, wanted.last, wanted.iso_weekdays) for id_ in ids],
        )
        last = min(wanted.last or LATEST, context.now().date() + ONE_DAY)
        if last < wanted.first:
            return Assigned([*ids], 0)
        derived = await derive_days(connection, ids, wanted.first, last, context.now(), beside=True, lock=False)
        return Assigned([*ids], derived.days)

    done, problems = await changed(context, work, dry_run=given(input.dry_run) is True)
    if done is None:
        return AssignShiftPayload([], 0, problems)
    rows = await context.load_many(employee_by_id, [EmployeeId(id_) for id_ in done.employee_ids])
    return AssignShiftPayload([row for row in rows if row is not None], done.recomputed_days, [])


async def _make_room(context: Context, connection: WriteConnection, wanted: Wanted, *, replace: bool) -> None:
    ids = [employee.id for employee in wanted.employees]
    others = await overlapping(connection, ids, wanted.first, wanted.last, wanted.iso_weekdays)
    if others and not replace:
        raise Problems([await _overlap(context, wanted, other) for other in others[:20]])
    await delete_assignments(connection, others)
    left = [piece for other in others for piece in without(other, wanted.first, wanted.last, wanted.iso_weekdays)]
    await insert_assignments(connection, left)


async def _overlap(context: Context, wanted: Wanted, other: AssignmentRow) -> UserProblem:
    index = wanted.texts.index(encode_id("Employee", other.employee_id))
    shift = await context.must(shift_by_id, other.shift_id)
    until = other.valid_to or "further notice"
    return problem(
        ErrorCode.OVERLAP,
        f"input.employeeIds[{index}]",
        f"has shift {shift.code} from {other.valid_from} until {until}; replaceOverlapping lets it give way",
        overlaps=shift,
    )


async def _wanted(context: Context, input_: AssignShiftInput) -> Wanted:
    employees = await _employees(context, input_)
    shift_id = id_of(input_.shift_id, "Shift", "input.shiftId", ShiftId)
    if await context.load(shift_by_id, shift_id) is None:
        raise not_found("input.shiftId", "shift")
    last = given(input_.to)
    oldest = max(EARLIEST, context.now().date() - OLDEST)
    if not oldest <= input_.from_ <= LATEST:
        raise invalid("input.from", f"needed a date from {oldest} to {LATEST}, got {input_.from_}")
    if last is not None and not input_.from_ <= last <= LATEST:
        raise invalid("input.to", f"needed a date from {input_.from_} to {LATEST}, got {last}")
    return Wanted(
        [*input_.employee_ids], employees, shift_id, input_.from_, last, _weekdays(given(input_.iso_weekdays))
    )


async def _employees(context: Context, input_: AssignShiftInput) -> list[EmployeeRow]:
    viewer, texts = context.require_viewer(), input_.employee_ids
    if not 0 < len(texts) <= MOST_EMPLOYEES:
        shown = f"needed 1 to {MOST_EMPLOYEES} employees, got {len(texts)}"
        raise problem(ErrorCode.TOO_MANY if texts else ErrorCode.INVALID, "input.employeeIds", shown)
    ids = ids_of(texts, "Employee", "input.employeeIds", EmployeeId) or ()
    rows = []
    for id_, row in zip(ids, await context.load_many(employee_by_id, ids), strict=True):
        where = f"input.employeeIds[{texts.index(ID(encode_id('Employee', id_)))}]"
        if row is None or not viewer.identified.covers(row):
            raise not_found(where, "employee")
        if not viewer.may_manage(row):
            raise forbidden(where, "needed a grant to manage this employee's attendance", "MANAGER")
        rows.append(row)
    return rows


def _weekdays(days: list[int] | None) -> int:
    if days is None:
        return EVERY_WEEKDAY
    if not days or any(not 1 <= day <= 7 for day in days):
        raise invalid("input.isoWeekdays", f"needed numbers from 1 (Monday) to 7 (Sunday), got {days}")
    return sum(1 << (day - 1) for day in set(days))
