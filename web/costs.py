"""What an operation costs: the objects that it can return, lists multiplied by their length, plus declared weights.

A selection costs `fixed + per_item x n`, where n is the length that a connection passes to the lists inside it
(`employees(first: 50) { nodes { ... } }`). Fragments are shared nodes, so a cost is computed once per fragment.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from graphql import (
    ArgumentNode,
    GraphQLField,
    IntValueNode,
    ListValueNode,
    VariableNode,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

SIZE_ARGUMENTS = ("first", "last")
LARGEST_SIZE = 2**31 - 1


class DeclaredCost(NamedTuple):
    """`@cost(weight:, multiplier:)` of a field; `multiplier` names the argument that says how many."""

    weight: int
    multiplier: str | None


class Size(msgspec.Struct, frozen=True):
    """The length that arguments give to a list: numbers in the document, variables, else a default."""

    numbers: tuple[int, ...]
    variables: tuple[str, ...]
    default: int | None

    def value(self, variables: Mapping[str, Any]) -> int | None:
        """The length under these variables, None when nothing says it."""
        given = [_length(variables[name]) for name in self.variables if name in variables]
        known = [*self.numbers, *(length for length in given if length is not None)]
        return min(max(known), LARGEST_SIZE) if known else self.default


class FieldCost(msgspec.Struct, frozen=True):
    """One selected field: what itself costs and what lies beneath."""

    weight: int
    declared: bool
    is_list: bool
    size: Size | None
    beneath: "SelectionCost | None"


class SelectionCost:
    """The fields of a selection set and the fragments that it spreads; filled while the document is walked."""

    __slots__ = ("fields", "spreads")

    def __init__(self) -> None:
        self.fields: list[FieldCost] = []
        self.spreads: list[SelectionCost] = []


class Amount(NamedTuple):
    """`fixed + per_item x n`."""

    fixed: int
    per_item: int


def operation_cost(root: SelectionCost, variables: Mapping[str, Any], list_size: int) -> int:
    """The cost of an operation under its variables; linear in the size of the document."""
    known: dict[int, Amount] = {}

    def amount(selection: SelectionCost) -> Amount:
        found = known.get(id(selection))
        if found is None:
            parts = [field_amount(field) for field in selection.fields]
            parts += [amount(spread) for spread in selection.spreads]
            found = Amount(sum(part.fixed for part in parts), sum(part.per_item for part in parts))
            known[id(selection)] = found
        return found

    def field_amount(field: FieldCost) -> Amount:
        inner = amount(field.beneath) if field.beneath else Amount(0, 0)
        return _of_field(field, inner, field.size.value(variables) if field.size else None, list_size)

    total = amount(root)
    return total.fixed + total.per_item * list_size


def _of_field(field: FieldCost, inner: Amount, size: int | None, list_size: int) -> Amount:
    """A list is paid per item; a connection hands its size to the lists inside it."""
    item = inner.fixed + inner.per_item * list_size
    if field.is_list:
        if size is not None:
            return Amount(size * (field.weight + item), 0)
        return Amount(field.weight, 1 + item) if field.declared else Amount(0, field.weight + item)
    if size is not None:
        times = size if field.declared else 1
        return Amount(field.weight * times + inner.fixed + inner.per_item * size, 0)
    return Amount(field.weight + item, 0)


def field_cost(field: GraphQLField, arguments: Sequence[ArgumentNode], beneath: SelectionCost | None) -> FieldCost:
    """Read the price of a selected field off the schema."""
    declared = declared_cost(field)
    nullable = field.type.of_type if is_non_null_type(field.type) else field.type
    weight = declared.weight if declared else int(not is_leaf_type(get_named_type(field.type)))
    return FieldCost(weight, declared is not None, is_list_type(nullable), _size(field, declared, arguments), beneath)


def declared_cost(field: GraphQLField) -> DeclaredCost | None:
    """The @cost of a field: as Strawberry keeps schema directives, or as plain extensions."""
    plain = field.extensions.get("cost")
    if isinstance(plain, Mapping):
        return DeclaredCost(int(plain["weight"]), plain.get("multiplier"))
    definition = field.extensions.get("strawberry-definition")
    for directive in getattr(definition, "directives", ()):
        if type(directive).__name__.lower() == "cost":
            multiplier = getattr(directive, "multiplier", None)
            return DeclaredCost(int(directive.weight), multiplier if isinstance(multiplier, str) else None)
    return None


def _size(field: GraphQLField, declared: DeclaredCost | None, arguments: Sequence[ArgumentNode]) -> Size | None:
    names = {*SIZE_ARGUMENTS, declared.multiplier} if declared and declared.multiplier else set(SIZE_ARGUMENTS)
    names &= field.args.keys()
    if not names:
        return None
    defaults = [_length(field.args[name].default_value) for name in names]
    numbers: list[int] = []
    variables: list[str] = []
    for argument in arguments:
        if argument.name.value in names:
            match argument.value:
                case IntValueNode(value=digits):
                    numbers.append(_length(int(digits[:12])) or 0)
                case ListValueNode(values=values):
                    numbers.append(len(values))
                case VariableNode(name=name):
                    variables.append(name.value)
    return Size(
        tuple(numbers), tuple(variables), max((length for length in defaults if length is not None), default=None)
    )


def _length(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return min(max(int(value), 0), LARGEST_SIZE)
    return len(value) if isinstance(value, list | tuple) else None
