"""How long the arguments of a field let a list become: `first`, `last`, a list of ids, the days of a period."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

import msgspec
from graphql import (
    ArgumentNode,
    GraphQLArgument,
    GraphQLField,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    value_from_ast_untyped,
)

LENGTH_ARGUMENTS = ("first", "last", "ids")
PERIOD_ARGUMENT = "period"
LARGEST_SIZE = 2**31 - 1
DAYS_OF_MONTH = 31  # also assumed of a pay period
DAYS_BY_RELATIVE_PERIOD = {
    "TODAY": 1,
    "YESTERDAY": 1,
    "THIS_WEEK": 7,
    "LAST_WEEK": 7,
    "LAST_7_DAYS": 7,
    "LAST_90_DAYS": 90,
    "THIS_QUARTER": 92,
    "THIS_YEAR": 366,
    "LAST_365_DAYS": 365,
}


class Size(msgspec.Struct, frozen=True):
    """A length that variables decide, or that the document gives where they do not."""

    nodes: tuple[ValueNode, ...]
    given: int | None
    default: int | None

    def value(self, variables: dict[str, Any]) -> int | None:
        """The largest length under these variables, None when nothing says it."""
        return longest((self.given, *(value_from_ast_untyped(node, variables) for node in self.nodes)), self.default)


def size_of(field: GraphQLField, arguments: Sequence[ArgumentNode], multiplier: str | None) -> Size | int | None:
    """Read the size off a selected field; None when none of its arguments tells one."""
    names = {name for name in (*LENGTH_ARGUMENTS, multiplier) if name in field.args}
    if not names and PERIOD_ARGUMENT in field.args:
        names = {PERIOD_ARGUMENT}
    nodes = [argument.value for argument in arguments if argument.name.value in names]
    waiting = tuple(node for node in nodes if _has_variable(node))
    given = longest((value_from_ast_untyped(node) for node in nodes if not _has_variable(node)), None)
    default = longest((default_of(field.args[name]) for name in names), None)
    if waiting:
        return Size(waiting, given, default)
    return default if given is None else given


def _has_variable(node: ValueNode) -> bool:
    match node:
        case VariableNode():
            return True
        case ListValueNode(values=values):
            return any(map(_has_variable, values))
        case ObjectValueNode(fields=fields):
            return any(_has_variable(field.value) for field in fields)
    return False


def default_of(argument: GraphQLArgument) -> object:
    """The default of an argument: graphql-core keeps Strawberry's as a value, a printed schema's as a literal."""
    if argument.default_value is not Undefined or argument.default is None:
        return argument.default_value
    literal = argument.default.literal
    return value_from_ast_untyped(literal) if literal else argument.default.value


def longest(values: Iterable[object], otherwise: int | None) -> int | None:
    """The largest of the lengths that the values stand for."""
    return max((known for known in map(length, values) if known is not None), default=otherwise)


def length(value: object) -> int | None:
    """The length that one argument's value stands for."""
    match value:
        case bool() | None:
            return None
        case int() | float():
            return int(min(max(0, value), LARGEST_SIZE))  # in this order NaN is 0
        case list() | tuple():
            return len(value)
        case {"range": {"from": str(first), "to": str(last)}}:
            return _days(first, last)
        case {"relative": str(name)}:
            return DAYS_BY_RELATIVE_PERIOD.get(name, DAYS_OF_MONTH)
        case {"payPeriodId": _}:
            return DAYS_OF_MONTH
    return None


def _days(first: str, last: str) -> int | None:
    with suppress(ValueError):  # not dates: execution will say so
        return max((date.fromisoformat(last) - date.fromisoformat(first)).days + 1, 0)
    return None
