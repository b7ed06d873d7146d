"""Checking in and out, for oneself or, within reach, for others."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.days import derived, known_around, lock_employees, store_derived
from db.known_days import KnownEmployee
from db.punch_writes import insert_punch
from db.rows import DayRow, EmployeeRow, PunchRow
from domain.attendance.work_days import zone
from domain.enums import PresenceState, PunchDirection, PunchSource
from domain.errors import ErrorCode
from domain.geofence import distance_m
from domain.ids import EmployeeId, PunchId
from domain.periods import ONE_DAY
from loaders.days import day_by_key
from loaders.employees import employee_by_id
from loaders.locations import location_by_id
from loaders.punches import punch_by_id
from resolvers.arguments import given, id_of
from resolvers.changes import UserErrorValue, forbidden, invalid, not_found, problem, shown
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.retries import Kept, Request, changed_once

CLOCK_MARGIN: Final = timedelta(minutes=2)
SAME_SECOND: Final = timedelta(microseconds=999_999)
OWN_DELAY: Final = timedelta(days=1)
MANAGED_DELAY: Final = timedelta(days=400)
LONGEST_NOTE: Final = 500


@strawberry.input(description="A check-in or check-out.")
class CheckInput:
    employee_id: ID | None = strawberry.field(default=UNSET, description="Whose; the viewer's own by default.")
    at: datetime | None = strawberry.field(
        default=UNSET, description="When; now by default. One's own may be a day old, from a queue of a telephone."
    )
    client_event_id: ID | None = strawberry.field(
        default=UNSET,
        description="A key of the client: a retry with it changes nothing and gets the first answer, "
        "the punch and the day as they were then.",
    )
    latitude: float | None = strawberry.field(default=UNSET, description="Where, in degrees north.")
    longitude: float | None = strawberry.field(default=UNSET, description="Where, in degrees east.")
    note: str | None = strawberry.field(default=UNSET, description="Anything worth saying.")


Check: TypeAlias = Annotated[CheckInput, strawberry.argument(description="The check-in or check-out.")]


class Punched(msgspec.Struct, frozen=True):
    """What a punch came to: itself and, unless it belongs to none, its day; of a voided one the day that shows it."""

    punch_id: int
    employee_id: int
    work_date: date | None
    duplicate: bool = False


class Checked(msgspec.Struct, frozen=True):
    """The punch with its day, and whether it changes nothing, being one with the punch before it."""

    punch: PunchRow | None = None
    day: DayRow | None = None
    duplicate: bool = False


class CheckPayload(Checked, frozen=True):
    """The punch with its day, or what was wrong."""

    user_errors: list[UserErrorValue] = []

    @property
    def unattributed(self) -> bool:
        """Whether the punch counts and yet belongs to no day."""
        return self.punch is not None and not self.punch.voided and self.day is None


KEPT: Final = Kept(Punched, Checked)


async def check_in(info: Info, input: Check) -> CheckPayload:
    """Punch IN."""
    return await _check(info.context, "checkIn", input, PunchDirection.IN)


async def check_out(info: Info, input: Check) -> CheckPayload:
    """Punch OUT."""
    return await _check(info.context, "checkOut", input, PunchDirection.OUT)


async def _check(context: Context, mutation: str, input_: CheckInput, direction: PunchDirection) -> CheckPayload:
    async def work(connection: WriteConnection) -> tuple[Punched, Checked]:
        employee = await _employee(context, input_)
        at = _instant(context, input_, employee)
        await lock_employees(connection, [employee.id])
        known = await known_around(connection, employee.id, at, at + CLOCK_MARGIN)
        at = known.next_instant(at, SAME_SECOND if given(input_.at) else CLOCK_MARGIN)
        _check_employment(employee, at, direction)
        _check_presence(known, employee, at, direction)
        punch = await insert_punch(
            connection,
            employee.id,
            at,
            direction,
            PunchSource.WEB,
            client_event_id=given(input_.client_event_id),
            latitude=given(input_.latitude),
            longitude=given(input_.longitude),
            note=_note(input_),
            outside=await _is_outside(context, input_, employee),
        )
        known = known.with_punch(punch)
        refuse_locked(known, punch, "input.at")
        found = derived(known.days, context.now())
        days = await store_derived(connection, known.days, found)
        work_date = found.date_by_punch.get(punch.id)
        day = None if work_date is None else days[employee.id, work_date]
        duplicate = punch.id in found.repeated
        return Punched(punch.id, employee.id, work_date, duplicate), Checked(punch, day, duplicate)

    request = Request(mutation, input_, given(input_.client_event_id), "input.clientEventId")
    return await changed_punch(context, request, work)


def refuse_locked(known: KnownEmployee, punch: PunchRow, where: str) -> None:
    """Refuse a punch that would change a locked day, or whose voiding would, as a problem at `where`."""
    if locked := known.locked_by(punch):
        raise problem(ErrorCode.PERIOD_LOCKED, where, f"the day {min(locked)} is locked with its pay period")


async def changed_punch(
    context: Context, request: Request, work: Callable[[WriteConnection], Awaitable[tuple[Punched, Checked]]]
) -> CheckPayload:
    """What a mutation that makes or voids a punch answers."""

    async def look_up(punched: Punched) -> Checked:
        employee_id, work_date = EmployeeId(punched.employee_id), punched.work_date
        day = None if work_date is None else await context.load(day_by_key, (employee_id, work_date))
        return Checked(await context.load(punch_by_id, PunchId(punched.punch_id)), day, punched.duplicate)

    checked, problems = await changed_once(context, request, KEPT, work, look_up)
    found = checked or Checked()
    return CheckPayload(found.punch, found.day, found.duplicate, problems)


async def _employee(context: Context, input_: CheckInput) -> EmployeeRow:
    viewer = context.require_viewer()
    text = given(input_.employee_id)
    employee_id = viewer.employee_id if text is None else id_of(text, "Employee", "input.employeeId", EmployeeId)
    if employee_id is None:
        raise invalid("input.employeeId", "needed an employee, since the signed-in user has no employee record")
    row = await context.load(employee_by_id, employee_id)
    if row is None or not viewer.identified.covers(row):
        raise not_found("input.employeeId", "employee")
    if row.id != viewer.employee_id and not viewer.may_manage(row):
        raise forbidden("input.employeeId", "needed a grant to manage this employee", "MANAGER")
    return row


def _instant(context: Context, input_: CheckInput, employee: EmployeeRow) -> datetime:
    now, at = context.now(), given(input_.at)
    if at is None:
        return now.replace(microsecond=0)
    if at > now + CLOCK_MARGIN:
        raise problem(ErrorCode.FUTURE_TIME, "input.at", f"needed an instant that has come, got {shown(at)}")
    own = employee.id == context.require_viewer().employee_id
    if at < now - (OWN_DELAY if own else MANAGED_DELAY):
        limit = "one day" if own else "400 days"
        raise invalid("input.at", f"needed an instant of the last {limit}, got {shown(at)}; ask for a correction")
    return at


def _check_employment(employee: EmployeeRow, at: datetime, direction: PunchDirection) -> None:
    day = at.astimezone(zone(employee.time_zone)).date()
    after_night = ONE_DAY if direction is PunchDirection.OUT else timedelta()
    if day < employee.hired_on or (employee.left_on is not None and day > employee.left_on + after_night):
        raise invalid("input.employeeId", f"{employee.full_name} is not employed on {day}")


def _check_presence(known: KnownEmployee, employee: EmployeeRow, at: datetime, direction: PunchDirection) -> None:
    presence = known.presence_at(at)
    if direction is PunchDirection.IN and presence is PresenceState.IN:
        raise problem(ErrorCode.ALREADY_CHECKED_IN, "", f"{employee.full_name} is checked in already: check out first")
    if direction is PunchDirection.OUT and presence not in (PresenceState.IN, PresenceState.ON_BREAK):
        raise problem(ErrorCode.NOT_CHECKED_IN, "", f"{employee.full_name} is not checked in: check in first")


async def _is_outside(context: Context, input_: CheckInput, employee: EmployeeRow) -> bool:
    latitude, longitude = given(input_.latitude), given(input_.longitude)
    if (latitude is None) != (longitude is None):
        raise invalid("input.latitude", "needed latitude and longitude together, or neither")
    if latitude is None or longitude is None:
        return False
    if not -90 <= latitude <= 90:
        raise invalid("input.latitude", f"needed degrees from -90 to 90, got {latitude}")
    if not -180 <= longitude <= 180:
        raise invalid("input.longitude", f"needed degrees from -180 to 180, got {longitude}")
    location = await context.must(location_by_id, employee.location_id)
    if location.latitude is None or location.longitude is None or location.geofence_metres is None:
        return False
    return distance_m(latitude, longitude, location.latitude, location.longitude) > location.geofence_metres


def _note(input_: CheckInput) -> str | None:
    note = given(input_.note)
    if note is not None and len(note) > LONGEST_NOTE:
        raise invalid("input.note", f"needed at most {LONGEST_NOTE} characters, got {len(note)}")
    return note
