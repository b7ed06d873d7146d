"""Scalars: how dates, instants, wall-clock times and zones are written, and the messages when they are not."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any, Final, TypeVar
from zoneinfo import available_timezones

import strawberry
from graphql import GraphQLError, ValueNode, value_from_ast_untyped
from strawberry.types.scalar import ScalarDefinition, scalar

from resolvers.inputs import TimeZone

T = TypeVar("T")


def _parsed(parse: Callable[[str], T], needed: str) -> Callable[[Any], T]:
    def parse_value(value: Any) -> T:
        try:
            if not isinstance(value, str):
                raise ValueError
            return parse(value)
        except ValueError:
            # only a GraphQLError is shown as it is, any other within a sentence that tells the value once more
            raise GraphQLError(f"needed {needed}, got {str(value)[:60]!r}") from None

    return parse_value


def _scalar(
    name: str, parse: Callable[[str], T], needed: str, serialize: Callable[[T], str], about: str
) -> ScalarDefinition:
    parse_value = _parsed(parse, needed)

    def parse_literal(node: ValueNode, variables: dict[str, Any] | None = None) -> T:
        try:
            return parse_value(value_from_ast_untyped(node, variables))
        except GraphQLError as error:
            raise GraphQLError(error.message, node) from None

    return scalar(
        name=name, description=about, serialize=serialize, parse_value=parse_value, parse_literal=parse_literal
    )


def _instant(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found.astimezone(UTC)


def _date(text: str) -> date:
    if len(text) != 10:
        raise ValueError
    return date.fromisoformat(text)


def _local_time(text: str) -> time:
    found = time.fromisoformat(text)
    if found.tzinfo is not None or found.second or found.microsecond:
        raise ValueError
    return found


@cache
def _zones() -> frozenset[str]:
    """The zones of the IANA; `localtime` and its like are a machine's own, which PostgreSQL does not know."""
    return frozenset(available_timezones()) - {"localtime", "posixrules", "Factory"}


def _time_zone(text: str) -> TimeZone:
    if text not in _zones():
        raise ValueError
    return TimeZone(text)


def shown_instant(value: datetime) -> str:
    """An instant in UTC, to the second unless it has a fraction."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


DATE: Final = _scalar(
    "Date",
    _date,
    "a date like 2026-03-17",
    date.isoformat,
    "A calendar date as ISO 8601 writes it, without a time: 2026-03-17.",
)
DATE_TIME: Final = _scalar(
    "DateTime",
    _instant,
    "an instant with its offset like 2026-03-17T09:03:00+05:30",
    shown_instant,
    "An instant as RFC 3339 writes it; given out in UTC: 2026-03-17T03:33:00Z.",
)
LOCAL_TIME: Final = _scalar(
    "LocalTime",
    _local_time,
    "a wall-clock time like 09:03",
    lambda value: value.strftime("%H:%M"),
    "A wall-clock time: 09:03.",
)
TIME_ZONE: Final = _scalar(
    "TimeZone",
    _time_zone,
    "an IANA time zone like Asia/Kolkata",
    str,
    "A time zone by its IANA name: Asia/Kolkata.",
)
JSON_VALUE: Final = scalar(
    name="JSON", description="Any JSON value.", serialize=lambda value: value, parse_value=lambda value: value
)

SCALARS: Final[dict[object, ScalarDefinition]] = {
    date: DATE,
    datetime: DATE_TIME,
    time: LOCAL_TIME,
    TimeZone: TIME_ZONE,
    strawberry.scalars.JSON: JSON_VALUE,
}
