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
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)

from web.sizes import Size, size_of


class DeclaredCost(NamedTuple):
    """`@cost(weight:, multiplier:)` of a field; `multiplier` names the argument that says how many."""

    weight: int
    multiplier: str | None


class Amount(NamedTuple):
    """`fixed + per_item x n`."""

    fixed: int
    per_item: int

    def plus(self, other: "Amount") -> "Amount":
        """Both together."""
        return Amount(self.fixed + other.fixed, self.per_item + other.per_item)


class FieldCost(msgspec.Struct, frozen=True):
    """One selected field: what itself costs and what lies beneath; a `size` that is no number waits for variables."""

    weight: int
    declared: bool
    is_list: bool
    size: Size | int | None
    beneath: "SelectionCost | None"


class SelectionCost:
    """The fields of a selection set and the fragments that it spreads; filled while the document is walked."""

    __slots__ = ("fields", "settled", "spreads")

    def __init__(self) -> None:
        self.fields: list[FieldCost] = []
        self.spreads: list[SelectionCost] = []
        self.settled: Amount | None = None

    @property
    def is_open(self) -> bool:
        """Whether variables can change the cost."""
        return bool(self.fields or self.spreads)


class OperationCost:
    """The cost of one operation. What no variable can change is added up at once, the rest with each request."""

    def __init__(self, root: SelectionCost, list_size: int) -> None:
        self._root = root
        self._list_size = list_size
        self._settle(root)

    def under(self, variables: dict[str, Any]) -> int:
        """The cost under these variables; linear in the part of the document that they change."""
        total = self._amount(self._root, variables, {})
        return total.fixed + total.per_item * self._list_size

    def _settle(self, selection: SelectionCost) -> Amount:
        """Move every field and spread that is not open into `settled`; a fragment may have been settled before."""
        if selection.settled is not None:
            return selection.settled
        settled = Amount(0, 0)
        fields, spreads = selection.fields, selection.spreads
        selection.fields, selection.spreads = [], []
        for field in fields:
            inner = self._settle(field.beneath) if field.beneath else Amount(0, 0)
            if isinstance(field.size, Size) or (field.beneath and field.beneath.is_open):
                selection.fields.append(field)
            else:
                settled = settled.plus(_of_field(field, inner, field.size, self._list_size))
        for spread in spreads:
            inner = self._settle(spread)
            if spread.is_open:
                selection.spreads.append(spread)
            else:
                settled = settled.plus(inner)
        selection.settled = settled
        return settled

    def _amount(self, selection: SelectionCost, variables: dict[str, Any], known: dict[int, Amount]) -> Amount:
        found = known.get(id(selection))
        if found is None:
            assert selection.settled is not None
            found = selection.settled
            for field in selection.fields:
                inner = self._amount(field.beneath, variables, known) if field.beneath else Amount(0, 0)
                size = field.size.value(variables) if isinstance(field.size, Size) else field.size
                found = found.plus(_of_field(field, inner, size, self._list_size))
            for spread in selection.spreads:
                found = found.plus(self._amount(spread, variables, known))
            known[id(selection)] = found
        return found


def _of_field(field: FieldCost, inner: Amount, size: int | None, list_size: int) -> Amount:
    """A list is paid per item; a connection hands its size to the lists inside it."""
    item = inner.fixed + inner.per_item * list_size
    if field.is_list:
        if size is not None:
            return Amount(size * (field.weight + item), 0)
        own = int(field.beneath is not None)
        return Amount(field.weight, own + item) if field.declared else Amount(0, field.weight + item)
    if size is not None:
        times = size if field.declared else 1
        return Amount(field.weight * times + inner.fixed + inner.per_item * size, 0)
    return Amount(field.weight + item, 0)


def field_cost(field: GraphQLField, arguments: Sequence[ArgumentNode], beneath: SelectionCost | None) -> FieldCost:
    """Read the price of a selected field off the schema."""
    declared = declared_cost(field)
    nullable = field.type.of_type if is_non_null_type(field.type) else field.type
    weight = declared.weight if declared else int(not is_leaf_type(get_named_type(field.type)))
    size = size_of(field, arguments, declared.multiplier if declared else None)
    return FieldCost(weight, declared is not None, is_list_type(nullable), size, beneath)


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
