"""Ids: what each kind of key is called inside, and the opaque global ids that the API shows for them."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime
from typing import NewType

import msgspec

from domain.errors import InvalidId

EmployeeId = NewType("EmployeeId", int)
DepartmentId = NewType("DepartmentId", int)
LocationId = NewType("LocationId", int)
ShiftId = NewType("ShiftId", int)
ShiftRuleId = NewType("ShiftRuleId", int)
UserId = NewType("UserId", int)
PunchId = NewType("PunchId", int)
LeaveTypeId = NewType("LeaveTypeId", int)
DayKey = tuple[EmployeeId, date]

LARGEST_KEY = 2**63 - 1


PUNCH_NUMBERS = 2**40
"""How many punches a month has ids for; the month stands above, as `punch_id` of the migrations writes it."""


def punch_id(punched_at: datetime, number: int) -> PunchId:
    """The id of a punch of that instant, like `punch_id` of the migrations makes it of the next number."""
    at = punched_at.astimezone(UTC)
    return PunchId(((at.year - 2000) * 12 + at.month) * PUNCH_NUMBERS + number)


def month_of_punch(punch_id: PunchId) -> tuple[date, date] | None:
    """The month of a punch and the next one, in UTC; None for ids from before, which do not tell."""
    months = punch_id // PUNCH_NUMBERS - 1
    if not 0 <= months < 12 * 1000:
        return None
    return date(2000 + months // 12, months % 12 + 1, 1), date(2000 + (months + 1) // 12, (months + 1) % 12 + 1, 1)


class GlobalId(msgspec.Struct, frozen=True):
    """A decoded global id: the GraphQL type that it names and the key within that type."""

    type_name: str
    key: str


def encode_id(type_name: str, key: object) -> str:
    """The global id of the object `key` of the GraphQL type `type_name`: unpadded URL-safe base64 of `Type:key`."""
    return urlsafe_b64encode(f"{type_name}:{key}".encode()).rstrip(b"=").decode()


def decode_id(text: str) -> GlobalId:
    """Read a global id; raises InvalidId when it is not one that this API gave out."""
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (UnicodeError, binascii.Error, ValueError):
        raise InvalidId(text, "an id as this API returns it") from None
    type_name, colon, key = raw.partition(":")
    if not (colon and type_name.isidentifier() and key) or encode_id(type_name, key) != text.rstrip("="):
        raise InvalidId(text, "an id as this API returns it")
    return GlobalId(type_name, key)


def decode_int_id(text: str, type_name: str) -> int:
    """The database key behind a global id of `type_name`; raises InvalidId for another type or a broken key."""
    found = decode_id(text)
    if found.type_name != type_name or not found.key.isdecimal() or int(found.key) > LARGEST_KEY:
        raise InvalidId(text, f"the id of {'an' if type_name[0] in 'AEIO' else 'a'} {type_name}")
    return int(found.key)


def decode_day_id(text: str) -> DayKey:
    """The (employee, work date) behind a global id of AttendanceDay."""
    found = decode_id(text)
    employee, _, day = found.key.partition(":")
    try:
        if found.type_name != "AttendanceDay" or not employee.isdecimal() or int(employee) > LARGEST_KEY:
            raise ValueError
        return EmployeeId(int(employee)), date.fromisoformat(day)
    except ValueError:
        raise InvalidId(text, "the id of an AttendanceDay") from None
