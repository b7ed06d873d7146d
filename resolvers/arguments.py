"""Arguments into values: ids, dates and windows, each with an error that names the argument and the fix."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
from strawberry import UNSET

from db.keyset import Cursor, Window
from domain.errors import BadUserInput, InvalidId
from domain.ids import decode_int_id
from domain.periods import Dates, relative
from loaders.pay_periods import pay_period_by_id
from resolvers.context import Context
from resolvers.inputs import DateRange, PeriodInput

T = TypeVar("T")
MOST_ROWS: Final = 500
DEFAULT_ROWS: Final = 50
MOST_DAYS: Final = 800
MOST_IDS: Final = 1_000
LONGEST_SEARCH: Final = 100
LONGEST_CURSOR: Final = 10_000
"""A lookup is remembered by its key: keys that clients choose have to be short."""
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = date(2100, 12, 31)


def given(value: T | None) -> T | None:
    """The value of an optional argument, None when it is null or left out."""
    return None if value is UNSET else value


def refused(where: str, problem: str) -> BadUserInput:
    """The error of the argument at `where`, e.g. "input.items[3].date"."""
    return BadUserInput(f"{where}: {problem}", path_of(where))


def path_of(where: str) -> list[str]:
    """The way to an argument, step by step."""
    return [step for step in re.split(r"[.\[\]]+", where) if step]


def id_of(text: str, type_name: str, where: str, made: Callable[[int], T]) -> T:
    """The key behind a global id of a type."""
    try:
        return made(decode_int_id(text, type_name))
    except InvalidId as error:
        raise refused(where, error.message) from None


def ids_of(texts: Sequence[str] | None, type_name: str, where: str, made: Callable[[int], T]) -> tuple[T, ...] | None:
    """The keys behind global ids, each once; None when the argument is null or left out."""
    texts = given(texts)
    if texts is None:
        return None
    if len(texts) > MOST_IDS:
        raise refused(where, f"needed at most {MOST_IDS} ids, got {len(texts)}")
    found = [id_of(text, type_name, f"{where}[{index}]", made) for index, text in enumerate(texts)]
    return tuple(dict.fromkeys(found))


def sought(text: str | None, where: str) -> str | None:
    """A text to look for, without the blanks around it; None without one."""
    found = (given(text) or "").strip()
    if len(found) > LONGEST_SEARCH:
        raise refused(where, f"needed at most {LONGEST_SEARCH} characters, got {len(found)}")
    return found or None


def dates_of(range_: DateRange, where: str, most_days: int = MOST_DAYS) -> Dates:
    """A range that is not reversed, endless or out of this world."""
    for name, day in (("from", range_.from_), ("to", range_.to)):
        if not EARLIEST <= day <= LATEST:
            raise refused(f"{where}.{name}", f"needed a date from {EARLIEST} to {LATEST}, got {day}")
    if range_.to < range_.from_:
        raise refused(f"{where}.to", f"needed a date not before `from` ({range_.from_}), got {range_.to}")
    dates = Dates(range_.from_, range_.to)
    if dates.days > most_days:
        raise refused(where, f"needed at most {most_days} days, got {dates.days}; ask for a shorter range")
    return dates


async def period_of(context: Context, period: PeriodInput, where: str, most_days: int = MOST_DAYS) -> Dates:
    """The dates of a period."""
    if range_ := given(period.range):
        return dates_of(range_, f"{where}.range", most_days)
    if name := given(period.relative):
        return relative(name, await context.today())
    if text := given(period.pay_period_id):
        found = await context.load(pay_period_by_id, id_of(text, "PayPeriod", f"{where}.payPeriodId", int))
        if found is not None:
            return Dates(found.start_date, found.end_date)
        raise refused(f"{where}.payPeriodId", "there is no such pay period")
    raise refused(where, "needed one of range, relative and payPeriodId with a value, got none")


def size_of(first: int | None, where: str = "first", most: int = MOST_ROWS) -> int:
    """A page size within bounds; null is DEFAULT_ROWS."""
    if first is None:
        return DEFAULT_ROWS
    if not 0 <= first <= most:
        raise refused(where, f"needed a whole number from 0 to {most}, got {first}")
    return first


def window_of(
    order: object,
    width: int,
    first: int | None,
    after: str | None,
    last: int | None = None,
    before: str | None = None,
) -> Window:
    """The window of Relay's four arguments over a list in `order`, whose cursors hold `width` texts."""
    last, after_cursor, before_cursor = given(last), given(after), given(before)
    return Window(
        limit=size_of(first) if last is None else size_of(last, "last"),
        after=None if after_cursor is None else _read_cursor(after_cursor, order, width, "after"),
        before=None if before_cursor is None else _read_cursor(before_cursor, order, width, "before"),
        backwards=last is not None,
    )


def cursor_text(order: object, cursor: Cursor) -> str:
    """A cursor as the API shows it; it is good for lists in the same order only."""
    return urlsafe_b64encode(msgspec.json.encode([_order_mark(order), *cursor])).rstrip(b"=").decode()


def _read_cursor(text: str, order: object, width: int, where: str) -> Cursor:
    try:
        if len(text) > LONGEST_CURSOR:
            raise ValueError
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        mark, *values = msgspec.json.decode(raw, type=list[str])
    except (UnicodeError, binascii.Error, ValueError, msgspec.MsgspecError):
        mark, values = "", []
    if mark != _order_mark(order) or len(values) != width:
        raise BadUserInput(f"{where}: needed a cursor that this list returned in the same order, got {text[:80]!r}")
    return tuple(values)


def _order_mark(order: Any) -> str:
    return ",".join(f"{'-' if descending else ''}{name}" for name, descending in order)
