"""Marking days: what somebody decides against the punches."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import date as Date
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.day_writes import override_days
from db.days import days_by_key, derive_days, lock_employees
from db.rows import DayRow, OverrideRow
from domain.attendance.work_days import zone
from domain.enums import DayStatus, WorkMode
from domain.errors import BadUserInput, ErrorCode, UserProblem
from domain.ids import DayKey, EmployeeId
from loaders.days import day_by_key
from loaders.employees import employee_by_id
from resolvers.arguments import given, id_of
from resolvers.changes import (
    Problems,
    UserErrorValue,
    check_version,
    forbidden,
    invalid,
    not_found,
    problem,
    text_of,
)
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.retries import Kept, Request, changed_once

MOST_ITEMS: Final = 500
DECIDABLE: Final = tuple(status for status in DayStatus if status not in (DayStatus.PENDING, DayStatus.INCOMPLETE))


@strawberry.input(description="A decision about a day.")
class MarkItem:
    employee_id: ID = strawberry.field(description="Whose day.")
    date: Date = strawberry.field(description="Which day; not one to come.")
    status: DayStatus = strawberry.field(description="What it shall be; PENDING and INCOMPLETE cannot be decided.")
    work_mode: WorkMode | None = strawberry.field(default=UNSET, description="Where work was done.")
    expected_version: int | None = strawberry.field(
        default=UNSET, description="The version that was looked at: another one is a conflict."
    )


@strawberry.input(description="Decisions about days.")
class MarkAttendanceInput:
    items: list[MarkItem] = strawberry.field(description="At most 500.")
    reason: str = strawberry.field(description="Why; it is kept.")
    all_or_nothing: bool | None = strawberry.field(
        default=True, description="Whether one wrong item keeps all from being written."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A retry with the same key changes nothing and gets the first answer, the days as they were then.",
    )


Marks: TypeAlias = Annotated[MarkAttendanceInput, strawberry.argument(description="The decisions.")]


class Refusal(msgspec.Struct, frozen=True):
    """What kept a day from being marked; of a conflict the key of the day that is `current`."""

    code: ErrorCode
    message: str
    path: list[str]
    needed_role: str | None = None
    current_version: int | None = None
    current: tuple[int, Date] | None = None


class Marked(msgspec.Struct, frozen=True):
    """Which days were marked, and what kept others from it."""

    days: list[tuple[int, Date]]
    refusals: list[Refusal]


class Shown(msgspec.Struct, frozen=True):
    """The days that were marked, and what kept others from it with the days that are there instead."""

    days: list[DayRow]
    refusals: list[tuple[Refusal, DayRow | None]]


KEPT: Final = Kept(Marked, Shown)


class MarkAttendancePayload(msgspec.Struct, frozen=True):
    """The days as they are now, and what was wrong."""

    days: list[DayRow]
    user_errors: list[UserErrorValue]


async def mark_attendance(info: Info, input: Marks) -> MarkAttendancePayload:
    """Decide days; each is derived again with the decision."""
    context = info.context

    async def work(connection: WriteConnection) -> tuple[Marked, Shown]:
        reason = text_of(input.reason, "input.reason", 500)
        overrides, problems = await _overrides(context, connection, input)
        if problems and given(input.all_or_nothing) is not False:
            raise Problems(problems)
        await _store(context, connection, overrides, reason)
        refusals = [_refusal(wrong) for wrong in problems]
        marked = Marked([(row.employee_id, row.work_date) for row in overrides], refusals)
        return marked, await look_up(marked)

    async def look_up(marked: Marked) -> Shown:
        days = await asyncio.gather(*(_day(context, key) for key in marked.days))
        current = await asyncio.gather(*(_day(context, refusal.current) for refusal in marked.refusals))
        return Shown([day for day in days if day is not None], list(zip(marked.refusals, current, strict=True)))

    request = Request("markAttendance", input, given(input.idempotency_key))
    shown, problems = await changed_once(context, request, KEPT, work, look_up)
    if shown is None:
        return MarkAttendancePayload([], problems)
    return MarkAttendancePayload(shown.days, [_user_error(*refusal) for refusal in shown.refusals])


async def _day(context: Context, key: tuple[int, Date] | None) -> DayRow | None:
    return None if key is None else await context.load(day_by_key, (EmployeeId(key[0]), key[1]))


def _refusal(wrong: UserProblem) -> Refusal:
    current = wrong.current.key if isinstance(wrong.current, DayRow) else None
    return Refusal(wrong.error_code, wrong.message, wrong.path, wrong.needed_role, wrong.current_version, current)


def _user_error(wrong: Refusal, current: DayRow | None) -> UserErrorValue:
    return UserErrorValue(
        wrong.code,
        wrong.message,
        wrong.path,
        needed_role=wrong.needed_role,
        current=current,
        current_version=wrong.current_version,
    )


async def _store(context: Context, connection: WriteConnection, overrides: Sequence[OverrideRow], reason: str) -> None:
    if overrides:
        dates = [row.work_date for row in overrides]
        await override_days(connection, overrides, reason, context.require_viewer().user_id)
        employees = {row.employee_id for row in overrides}
        await derive_days(connection, employees, min(dates), max(dates), context.now(), only_known=True, lock=False)


async def _overrides(
    context: Context, connection: WriteConnection, input_: MarkAttendanceInput
) -> tuple[list[OverrideRow], list[UserProblem]]:
    """The decisions that can be written, and what is wrong with the others."""
    if not 0 < len(input_.items) <= MOST_ITEMS:
        shown = f"needed 1 to {MOST_ITEMS} items, got {len(input_.items)}"
        raise problem(ErrorCode.TOO_MANY if input_.items else ErrorCode.INVALID, "input.items", shown)
    await _look_up(context, input_.items)
    problems: list[UserProblem] = []
    found: dict[DayKey, tuple[int, MarkItem]] = {}
    for index, item in enumerate(input_.items):
        try:
            key = await _key(context, item, f"input.items[{index}]")
            if key in found:
                raise invalid(f"input.items[{index}]", f"names the same day as item {found[key][0]}")
            found[key] = (index, item)
        except UserProblem as wrong:
            problems.append(wrong)
        except BadUserInput as wrong:
            problems.append(UserProblem(ErrorCode.INVALID, wrong.message, wrong.path))
    if not found:
        return [], problems
    await lock_employees(connection, sorted({employee for employee, _ in found}))
    days = await days_by_key(connection, list(found))
    overrides = []
    for key, (index, item) in found.items():
        try:
            _check_day(days.get(key), item, f"input.items[{index}]")
            overrides.append(OverrideRow(*key, item.status, given(item.work_mode), ""))
        except UserProblem as wrong:
            problems.append(wrong)
    return overrides, problems


async def _look_up(context: Context, items: Sequence[MarkItem]) -> None:
    """Have all employees looked up by one statement; which ids are wrong is told item by item."""
    ids = []
    for item in items:
        with suppress(BadUserInput):
            ids.append(id_of(item.employee_id, "Employee", "", EmployeeId))
    await context.load_many(employee_by_id, ids)


async def _key(context: Context, item: MarkItem, where: str) -> DayKey:
    viewer = context.require_viewer()
    employee_id = id_of(item.employee_id, "Employee", f"{where}.employeeId", EmployeeId)
    row = await context.load(employee_by_id, employee_id)
    if row is None or not viewer.identified.covers(row):
        raise not_found(f"{where}.employeeId", "employee")
    if not viewer.may_manage(row):
        raise forbidden(f"{where}.employeeId", "needed a grant to manage this employee's attendance", "MANAGER")
    if item.status not in DECIDABLE:
        raise invalid(f"{where}.status", f"needed one of {', '.join(DECIDABLE)}, got {item.status.value}")
    if item.date > context.now().astimezone(zone(row.time_zone)).date():
        raise problem(ErrorCode.FUTURE_TIME, f"{where}.date", f"needed a date that has come, got {item.date}")
    return row.id, item.date


def _check_day(day: DayRow | None, item: MarkItem, where: str) -> None:
    if day is None:
        raise invalid(f"{where}.date", f"the employee has no day on {item.date}: not employed then")
    if day.locked:
        raise problem(ErrorCode.PERIOD_LOCKED, f"{where}.date", "its pay period is locked")
    check_version(f"{where}.expectedVersion", item.expected_version, day)
