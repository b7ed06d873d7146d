"""One memoised pass over a document before validation and execution; tokens are the parser's, all else is counted here.

Every definition is walked once; a fragment's counts are kept and added wherever it is spread, so twenty fragments that
each spread the next twice cost as much as twenty that do not. Unknown names count nothing: validation reports them.
"""

import msgspec
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)

from web.costs import SelectionCost, field_cost
from web.http_settings import LimitSettings
from web.request_errors import RequestError

FIX_BY_LIMIT = {
    "tokens": "send less at once",
    "depth": "ask for the inner objects in a query of their own",
    "aliases": "split the operation, or use a list field",
    "directives": "split the operation",
    "duplicates": "name each field once",
    "root_fields": "split the operation",
    "cost": "ask for smaller pages (`first`) or fewer nested lists",
}
DEEPEST_NESTING = 150  # selection sets within each other, fragments included: keeps every walk off the recursion limit


class Counts(msgspec.Struct):
    """What a selection set holds with its fragments expanded; `cost` is still to be evaluated with variables."""

    cost: SelectionCost
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    duplicates: int = 0
    root_fields: int = 0

    def add(self, other: "Counts", levels: int) -> None:
        """Count what lies `levels` of fields deeper."""
        self.depth = max(self.depth, other.depth + levels)
        self.aliases += other.aliases
        self.directives += other.directives
        self.duplicates += other.duplicates
        if not levels:
            self.root_fields += other.root_fields


class DocumentPass:
    """The walk over one document; `count` gives the totals of one operation."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._counts_by_fragment: dict[str, Counts] = {}
        self._open: set[str] = set()
        self._nesting = 0

    def count(self, operation: OperationDefinitionNode) -> Counts:
        """The totals of an operation."""
        counts = self._selection(operation.selection_set, self._schema.get_root_type(operation.operation))
        counts.directives += len(operation.directives or ())
        return counts

    def _selection(self, selection_set: SelectionSetNode, parent: GraphQLCompositeType | None) -> Counts:
        counts = Counts(SelectionCost())
        seen: set[str] = set()
        spread: set[str] = set()
        self._nesting += 1
        if self._nesting > DEEPEST_NESTING:
            raise too_complex("depth", None, DEEPEST_NESTING)
        for selection in selection_set.selections:
            counts.directives += len(selection.directives or ())
            match selection:
                case FieldNode():
                    self._field(selection, parent, counts, seen)
                case InlineFragmentNode():
                    self._inline(selection, parent, counts)
                case FragmentSpreadNode(name=name) if name.value not in spread:
                    # execution collects a fragment once per selection set, however often it is spread there
                    spread.add(name.value)
                    self._spread(name.value, counts)
        self._nesting -= 1
        return counts

    def _field(self, node: FieldNode, parent: GraphQLCompositeType | None, counts: Counts, seen: set[str]) -> None:
        response_key = (node.alias or node.name).value
        counts.aliases += node.alias is not None
        counts.duplicates += response_key in seen
        counts.root_fields += 1
        seen.add(response_key)
        field = self._definition(parent, node.name.value)
        beneath: Counts | None = None
        if node.selection_set:
            named = get_named_type(field.type) if field else None
            beneath = self._selection(node.selection_set, named if is_composite_type(named) else None)
            counts.add(beneath, 1)
        counts.depth = max(counts.depth, 1)
        if field:
            price = field_cost(field, node.arguments or (), beneath.cost if beneath else None)
            if price.weight or price.beneath:
                counts.cost.fields.append(price)

    def _inline(self, node: InlineFragmentNode, parent: GraphQLCompositeType | None, counts: Counts) -> None:
        condition = self._type(node.type_condition.name.value) if node.type_condition else parent
        inner = self._selection(node.selection_set, condition)
        counts.add(inner, 0)
        counts.cost.spreads.append(inner.cost)

    def _spread(self, name: str, counts: Counts) -> None:
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:  # unknown or a cycle: for validation to report
            return
        inner = self._counts_by_fragment.get(name)
        if inner is None:
            self._open.add(name)
            inner = self._selection(fragment.selection_set, self._type(fragment.type_condition.name.value))
            inner.directives += len(fragment.directives or ())
            self._open.remove(name)
            self._counts_by_fragment[name] = inner
        counts.add(inner, 0)
        counts.cost.spreads.append(inner.cost)

    def _definition(self, parent: GraphQLCompositeType | None, name: str) -> GraphQLField | None:
        return self._schema.get_field(parent, name) if parent else None

    def _type(self, name: str) -> GraphQLCompositeType | None:
        found = self._schema.get_type(name)
        return found if is_composite_type(found) else None


def check(counts: Counts, limits: LimitSettings) -> None:
    """Refuse an operation for what shows before its variables are known."""
    for name in ("depth", "aliases", "directives", "duplicates", "root_fields"):
        value, maximum = getattr(counts, name), getattr(limits, name)
        if value > maximum:
            raise too_complex(name, value, maximum)


def too_complex(limit: str, value: int | None, maximum: int) -> RequestError:
    """The refusal that names the limit, the value and the fix."""
    words = limit.replace("_", " ")
    needed = f"{words}: at most {maximum:,} allowed"
    has = f", this document has {_shown(value)}" if value is not None else ", this document has more"
    extensions = {"limit": limit, "maximum": maximum} | ({} if value is None else {"value": min(value, 2**53)})
    return RequestError("QUERY_TOO_COMPLEX", f"{needed}{has}; {FIX_BY_LIMIT[limit]}", extensions=extensions)


def _shown(value: int) -> str:
    return f"{value:,}" if value < 10**12 else "over 10^12"
