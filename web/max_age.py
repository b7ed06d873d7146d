"""For how long a client may reuse an answer without asking: the least of what its fields allow.

Nothing is allowed unless the operator allows it by field (`RESPONSE_MAX_AGE`): within that time a browser may show what
has changed meanwhile, and nothing can call it back. A field of the query itself that is not named allows none; a field
further down that is not named allows what those above it do.
"""

from collections.abc import Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_composite_type,
)

from web.environment import SettingsError

NO_LIMIT = 2**31


class MaxAges:
    """The maximum ages in seconds by field (`Query.shifts`), over one schema."""

    def __init__(self, schema: GraphQLSchema, age_s_by_field: Mapping[str, int]) -> None:
        self._schema = schema
        self._age_s_by_field = age_s_by_field
        for name in age_s_by_field:
            type_name, _, field = name.partition(".")
            if field not in getattr(schema.type_map.get(type_name), "fields", {}):
                raise SettingsError(f"RESPONSE_MAX_AGE: needed fields of the schema like Query.shifts, got {name}")

    def of(self, document: DocumentNode, operation: OperationDefinitionNode) -> int:
        """How long an answer to a valid operation may be reused, in seconds; 0 not at all."""
        if not self._age_s_by_field:
            return 0
        root = self._schema.get_root_type(operation.operation)
        assert root is not None
        walk = _Walk(self._schema, self._age_s_by_field, document)
        least = walk.least(operation.selection_set, root.name, default_s=0)
        return least if least < NO_LIMIT else 0


class _Walk:
    """Over one document; a fragment on a type is looked at once, however often it is spread."""

    def __init__(self, schema: GraphQLSchema, age_s_by_field: Mapping[str, int], document: DocumentNode) -> None:
        self._schema = schema
        self._age_s_by_field = age_s_by_field
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._seen: set[tuple[str, str]] = set()

    def least(self, selection: SelectionSetNode, parent: str, default_s: int) -> int:
        """The least age of the fields; one without an own age has `default_s`."""
        least = NO_LIMIT
        for node in selection.selections:
            match node:
                case FieldNode():
                    found = self._of_field(node, parent, default_s)
                case InlineFragmentNode():
                    name = node.type_condition.name.value if node.type_condition else parent
                    found = self.least(node.selection_set, name, default_s)
                case FragmentSpreadNode() if (parent, node.name.value) not in self._seen:
                    self._seen.add((parent, node.name.value))
                    fragment = self._fragments[node.name.value]
                    found = self.least(fragment.selection_set, fragment.type_condition.name.value, default_s)
                case _:
                    continue
            least = min(least, found)
        return least

    def _of_field(self, node: FieldNode, parent: str, default_s: int) -> int:
        name = node.name.value
        if name == "__typename":
            return NO_LIMIT
        own = self._age_s_by_field.get(f"{parent}.{name}", default_s)
        field = self._schema.get_field(self._schema.type_map[parent], name)  # type: ignore[arg-type]
        assert field is not None
        inner = get_named_type(field.type)
        if node.selection_set is None or not is_composite_type(inner):
            return own
        return min(own, self.least(node.selection_set, inner.name, NO_LIMIT))
