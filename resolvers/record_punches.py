"""Punches of punch clocks, many at once, in any order and as often as they like."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.days import Derivation, after_latest, derive_days
from db.devices import device_by_code
from db.punch_writes import BadgePunch, NewPunch, record_device_punches
from db.rows import DeviceRow
from domain.enums import PunchDirection
from domain.errors import ErrorCode, UserProblem
from domain.periods import ONE_DAY
from resolvers.arguments import given
from resolvers.changes import (
    Problems,
    UserErrorValue,
    changed,
    forbidden,
    invalid,
    not_found,
    problem,
    shown,
    user_error,
)
from resolvers.context import Context, Info
from resolvers.inputs import ID

MOST_PUNCHES: Final = 1_000
CLOCK_MARGIN: Final = timedelta(minutes=2)
OLDEST: Final = timedelta(days=400)
LONGEST_BADGE: Final = 64
APART: Final = timedelta(days=5)


@strawberry.input(description="A punch as a device saw it.")
class PunchInput:
    badge_no: str = strawberry.field(description="The badge that was read.")
    at: datetime = strawberry.field(description="When, with the offset of the device's clock.")
    direction: PunchDirection | None = strawberry.field(
        default=PunchDirection.UNKNOWN, description="Which way, where the device knows."
    )
    client_event_id: ID | None = strawberry.field(
        default=UNSET, description="The device's key of the event: an event handed in again is a duplicate."
    )


@strawberry.input(description="Punches of one device; handing them in again changes nothing.")
class RecordPunchesInput:
    device_code: str = strawberry.field(description="The code of the device.")
    punches: list[PunchInput] = strawberry.field(description="At most 1000, in any order.")


DevicePunches: TypeAlias = Annotated[RecordPunchesInput, strawberry.argument(description="The device and its punches.")]


class RecordPunchesPayload(msgspec.Struct, frozen=True):
    """How many punches were new, known, and of badges that nobody has; or what was wrong: then none is recorded.

    Only of a locked day it is said as well when a punch is recorded: the punch is kept, the day stays as it is.
    """

    accepted: int = 0
    duplicates: int = 0
    unmatched: int = 0
    locked: int = 0
    user_errors: list[UserErrorValue] = []


async def record_punches(info: Info, input: DevicePunches) -> RecordPunchesPayload:
    """Record the punches of a device and derive the days that they belong to."""
    context = info.context

    async def work(connection: WriteConnection) -> RecordPunchesPayload:
        device = await _device(context, connection, input.device_code)
        punches = _punches(context, input)
        recorded = await record_device_punches(connection, device.id, punches)
        locked: list[UserProblem] = []
        for cluster in _clusters(recorded.new):
            ids = {punch.employee_id for punch in cluster}
            first = await after_latest(connection, ids, cluster[0].punched_at.date() - 2 * ONE_DAY)
            last = cluster[-1].punched_at.date() + ONE_DAY
            derived = await derive_days(connection, ids, first, last, context.now(), beside=True, lock=False)
            locked += _of_locked_days(cluster, derived)
        counts = len(recorded.new), recorded.duplicates, recorded.unmatched, len(locked)
        return RecordPunchesPayload(*counts, [user_error(problem) for problem in locked])

    payload, problems = await changed(context, work)
    return payload or RecordPunchesPayload(user_errors=problems)


def _clusters(new: Iterable[NewPunch]) -> list[list[NewPunch]]:
    """Punches by time, apart where nobody punched for days: a stray old one must not have months derived again."""
    found: list[list[NewPunch]] = []
    for punch in sorted(new, key=lambda one: one.punched_at):
        if not found or punch.punched_at - found[-1][-1].punched_at > APART:
            found.append([])
        found[-1].append(punch)
    return found


def _of_locked_days(cluster: Iterable[NewPunch], derived: Derivation) -> Iterator[UserProblem]:
    """What to tell of punches whose days stay as they are."""
    for punch in sorted(cluster, key=lambda one: one.index):
        day = derived.date_by_punch.get(punch.id) or derived.shown_on.get(punch.id)
        if day is not None and (punch.employee_id, day) in derived.locked:
            told = f"recorded, but the day {day} is locked with its pay period and stays as it is"
            yield problem(ErrorCode.PERIOD_LOCKED, f"input.punches[{punch.index}].at", told)


async def _device(context: Context, connection: WriteConnection, code: str) -> DeviceRow:
    device = await device_by_code(connection, code.strip())
    viewer = context.require_viewer()
    allowed = viewer.recorded_locations is None or bool(viewer.recorded_locations)
    if not allowed:
        raise forbidden("", "needed a grant to hand in punches of devices", "DEVICE")
    if device is None or not viewer.may_record_at(device.location_id):
        raise not_found("input.deviceCode", "device in your reach")
    if not device.is_active:
        raise invalid("input.deviceCode", "the device is not active any more")
    return device


def _punches(context: Context, input_: RecordPunchesInput) -> list[BadgePunch]:
    """The punches, all of them good."""
    if len(input_.punches) > MOST_PUNCHES:
        message = f"needed at most {MOST_PUNCHES} punches at once, got {len(input_.punches)}"
        raise problem(ErrorCode.TOO_MANY, "input.punches", message)
    now = context.now()
    problems = [wrong for index, punch in enumerate(input_.punches) if (wrong := _problem(punch, index, now))]
    if problems:
        raise Problems(problems)
    return [
        BadgePunch(
            punch.badge_no.strip(),
            punch.at,
            given(punch.direction) or PunchDirection.UNKNOWN,
            given(punch.client_event_id),
        )
        for punch in input_.punches
    ]


def _problem(punch: PunchInput, index: int, now: datetime) -> UserProblem | None:
    where = f"input.punches[{index}]"
    if not 0 < len(punch.badge_no.strip()) <= LONGEST_BADGE:
        return invalid(f"{where}.badgeNo", f"needed 1 to {LONGEST_BADGE} characters, got {len(punch.badge_no)}")
    if punch.at > now + CLOCK_MARGIN:
        return problem(ErrorCode.FUTURE_TIME, f"{where}.at", f"needed an instant that has come, got {shown(punch.at)}")
    if punch.at < now - OLDEST:
        return invalid(f"{where}.at", f"needed an instant of the last {OLDEST.days} days, got {shown(punch.at)}")
    return None
