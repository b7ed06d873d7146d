"""A new version of a shift's rule: from a date on, with the days since then derived again."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from db.connection import WriteConnection
from db.days import derive_days
from db.facts import rule_version
from db.rows import ShiftRuleRow
from db.shift_writes import (
    close_rule,
    delete_rule,
    employees_on_shift,
    first_day_of,
    insert_rule,
    shift_for_update,
    zones_in_use,
)
from db.shifts import rules_by_shift
from domain.attendance.plan import Rule
from domain.attendance.work_days import zone
from domain.enums import BreakPolicy, MissingPunchPolicy, Pairing
from domain.errors import ErrorCode
from domain.ids import EmployeeId, ShiftId
from domain.periods import ONE_DAY
from resolvers.arguments import EARLIEST, LATEST, id_of
from resolvers.changes import UserErrorValue, changed, invalid, not_found, problem
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.organising import require_organiser

MOST_DERIVED_DAYS: Final = 100_000
"""Days of employees that one request may derive again; more would outlast its deadline."""
AHEAD: Final = timedelta(hours=14)
"""How far the first zone of the earth is ahead of UTC."""
CLEARED: Final = frozenset(
    {"expected_minutes", "half_split", "half_day_below_minutes", "absent_below_minutes", "overtime_max_minutes"}
)
"""What null leaves open; every other field needs a value."""
RANGES: Final = {
    "expected_minutes": (0, 1440),
    "window_before_minutes": (0, 1440),
    "window_after_minutes": (0, 1440),
    "grace_in_minutes": (0, 720),
    "grace_out_minutes": (0, 720),
    "half_day_below_minutes": (0, 1440),
    "absent_below_minutes": (0, 1440),
    "break_minutes": (0, 720),
    "break_after_minutes": (0, 1440),
    "dedupe_seconds": (0, 3600),
    "overtime_min_minutes": (0, 1440),
    "overtime_step_minutes": (1, 720),
    "overtime_max_minutes": (0, 1440),
}
"""What the database accepts as well."""


def _minutes(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(
    description="A version of a shift's rule. It closes the one before it on the day before `validFrom` and ends "
    "before the next one. Fields left out take the value of the version before it, or the default; null leaves open "
    "what can be."
)
class ShiftRuleInput:
    shift_id: ID = strawberry.field(description="Of which shift.")
    valid_from: date = strawberry.field(description="The first date that it is in force.")
    start_time: time = strawberry.field(description="When work begins, by the employee's wall clock.")
    end_time: time = strawberry.field(description="When work ends; not later than the start means the next day.")
    is_flexible: bool | None = _minutes("Whether only the worked time counts, not when it begins or ends; else false.")
    expected_minutes: int | None = _minutes("Minutes expected of a whole day; null is the span less the break.")
    half_split: time | None = _minutes("Where the halves meet; null is the midpoint.")
    window_before_minutes: int | None = _minutes("How long before the start punches belong to the day; else 120.")
    window_after_minutes: int | None = _minutes("How long after the end punches belong to the day; else 240.")
    grace_in_minutes: int | None = _minutes("Coming so many minutes after the start is not late; else 10.")
    grace_out_minutes: int | None = _minutes("Leaving so many minutes before the end is not early; else 10.")
    late_from_grace: bool | None = _minutes("Whether minutes late count from the end of the grace; else false.")
    half_day_below_minutes: int | None = _minutes("Less worked is half a day; null is never; else 300.")
    absent_below_minutes: int | None = _minutes("Less worked is absence; null is never; else 120.")
    break_minutes: int | None = _minutes("The break of a day; else 60.")
    break_after_minutes: int | None = _minutes("Minutes of work after which the break is taken off; else 360.")
    break_policy: BreakPolicy | None = _minutes("How breaks are taken off; else AUTO.")
    pairing: Pairing | None = _minutes("How punches become sessions; else FIRST_LAST.")
    dedupe_seconds: int | None = _minutes("A punch repeated within so many seconds is dropped; else 60.")
    count_early_arrival: bool | None = _minutes("Whether time before the start counts as worked; else false.")
    overtime_min_minutes: int | None = _minutes("Less overtime does not count; else 30.")
    overtime_step_minutes: int | None = _minutes("Overtime is rounded down to steps of this size; else 15.")
    overtime_max_minutes: int | None = _minutes("More overtime does not count; null is no limit.")
    missing_out: MissingPunchPolicy | None = _minutes("What a missing punch makes of the day; else FLAG.")


RuleToSave: TypeAlias = Annotated[ShiftRuleInput, strawberry.argument(description="The version.")]
DryRun: TypeAlias = Annotated[
    bool | None, strawberry.argument(description="Whether only to tell what it would come to, and write nothing.")
]


class ShiftRulePayload(msgspec.Struct, frozen=True):
    """The version, and how many days it changed, or would change; or what was wrong."""

    rule: ShiftRuleRow | None
    changed_days: int
    user_errors: list[UserErrorValue]


class SavedRule(msgspec.Struct, frozen=True):
    """The version as it was written, and how many days changed."""

    rule: ShiftRuleRow
    changed_days: int


async def save_shift_rule(info: Info, input: RuleToSave, dry_run: DryRun = False) -> ShiftRulePayload:
    """Let a shift have another rule from a date on."""
    context = info.context
    saved, problems = await changed(
        context, lambda connection: _save(context, connection, input), dry_run=bool(dry_run)
    )
    return ShiftRulePayload(saved.rule if saved else None, saved.changed_days if saved else 0, problems)


async def _save(context: Context, connection: WriteConnection, input: ShiftRuleInput) -> SavedRule:
    require_organiser(context)
    shift_id = id_of(input.shift_id, "Shift", "input.shiftId", ShiftId)
    if await shift_for_update(connection, shift_id) is None:
        raise not_found("input.shiftId", "shift")
    valid_from = input.valid_from
    if not EARLIEST <= valid_from <= LATEST:
        raise invalid("input.validFrom", f"needed a date from {EARLIEST} to {LATEST}, got {valid_from}")
    versions = (await rules_by_shift(connection, [shift_id])).get(shift_id, ())
    before = next((version for version in reversed(versions) if version.valid_from < valid_from), None)
    rule = rule_of(input, Rule() if before is None else rule_version(before).rule)
    now = context.now()
    for version in versions:
        if version.valid_from == valid_from:
            await _refuse_begun(connection, valid_from, now)
            await delete_rule(connection, version.id)
    if before is not None and (before.valid_to is None or before.valid_to >= valid_from):
        await close_rule(connection, before.id, valid_from - ONE_DAY)
    following = next((version for version in versions if version.valid_from > valid_from), None)
    valid_to = following.valid_from - ONE_DAY if following else None
    row = await insert_rule(connection, shift_id, valid_from, valid_to, rule)
    return SavedRule(row, await _derived_again(connection, row, now))


async def _refuse_begun(connection: WriteConnection, valid_from: date, now: datetime) -> None:
    """A version that has begun in any zone where somebody works has days that rest on it."""
    today = max((now.astimezone(zone(name)).date() for name in await zones_in_use(connection)), default=now.date())
    if valid_from <= today:
        raise invalid(
            "input.validFrom",
            f"the version of {valid_from} is in force already and stays as it is; choose a later date",
        )


async def _derived_again(connection: WriteConnection, rule: ShiftRuleRow, now: datetime) -> int:
    """Derive the days that stand already from the first one of the version on; returns how many changed.

    The days beside them are derived as well: where the windows of the version move, punches change sides.
    """
    last = min(rule.valid_to or date.max, (now + AHEAD).date())
    if last < rule.valid_from:
        return 0
    employees = await employees_on_shift(connection, rule.shift_id, rule.valid_from, last)
    first = await first_day_of(connection, employees, rule.valid_from, last)
    if first is None:
        return 0
    _refuse_too_many(employees, first, last)
    derivation = await derive_days(connection, employees, first, last, now, only_known=True, beside=True)
    return len(derivation.changes)


def _refuse_too_many(employees: Sequence[EmployeeId], first: date, last: date) -> None:
    days = len(employees) * ((last - first).days + 1)
    if days > MOST_DERIVED_DAYS:
        raise problem(
            ErrorCode.TOO_MANY,
            "input.validFrom",
            f"needed a date with at most {MOST_DERIVED_DAYS} days of employees to derive again since then, "
            f"got {days} ({len(employees)} employees from {first} on); choose a later date",
        )


def rule_of(input: ShiftRuleInput, before: Rule) -> Rule:
    """What an input makes of the rule before it; raises what is wrong with it."""
    chosen = {
        name: _chosen(name, getattr(input, name), getattr(before, name))
        for name in Rule.__struct_fields__
        if hasattr(input, name)
    }
    rule = Rule(**chosen, max_session_minutes=before.max_session_minutes)
    for name, (least, most) in RANGES.items():
        value = getattr(rule, name)
        if value is not None and not least <= value <= most:
            raise invalid(_path(name), f"needed a whole number from {least} to {most}, got {value}")
    _check_split(rule)
    absent, half = rule.absent_below_minutes, rule.half_day_below_minutes
    if absent is not None and half is not None and absent > half:
        raise invalid(_path("absent_below_minutes"), f"needed at most halfDayBelowMinutes ({half}), got {absent}")
    return rule


def _chosen(name: str, value: Any, before: Any) -> Any:
    if value is UNSET:
        return before
    if value is None and name not in CLEARED:
        raise invalid(_path(name), "needed a value, got null; leave it out to keep what the version before it has")
    return value


def _path(name: str) -> str:
    return f"input.{to_camel_case(name)}"


def _check_split(rule: Rule) -> None:
    if rule.half_split is None:
        return
    split, end = (_minutes_after(rule.start_time, clock) for clock in (rule.half_split, rule.end_time))
    if not 0 < split % 1440 < (end or 1440):
        raise invalid(
            "input.halfSplit",
            f"needed a time between the start ({rule.start_time:%H:%M}) and the end ({rule.end_time:%H:%M}), "
            f"got {rule.half_split:%H:%M}; null is the midpoint",
        )


def _minutes_after(start: time, clock: time) -> int:
    """Minutes from `start` to the next such time on the clock."""
    return (clock.hour * 60 + clock.minute - start.hour * 60 - start.minute) % 1440
