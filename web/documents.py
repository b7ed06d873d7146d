"""Documents by query text: parsed, counted against the limits and validated once, then kept up to a bound of bytes.

Failures are kept as well, so that a client in a loop with a wrong query costs nothing either.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
    value_from_ast_untyped,
)
from graphql.language.parser import MAX_NESTING_DEPTH
from graphql.validation import ASTValidationRule
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from web.answers import FormattedError, formatted
from web.costs import OperationCost
from web.finite_numbers import FiniteNumbersRule
from web.http_settings import LimitSettings
from web.limits import DocumentPass, check, too_complex
from web.max_age import MaxAges
from web.no_nul import NoNulRule
from web.request_errors import RequestError

MOST_VALIDATION_ERRORS = 20
BYTES_PER_CHARACTER = 60  # of a parsed document, measured: the text, its tokens, nodes and cost tree


class Operation(msgspec.Struct, frozen=True):
    """One operation of a document; its cost is evaluated with the variables of each request."""

    name: str | None
    kind: OperationType
    cost: OperationCost
    variable_defaults: dict[str, object]
    digest: str
    """Of its text and name."""
    max_age_s: int = 0


class Document(msgspec.Struct, frozen=True):
    """A query text that was looked at: either its operations or the errors to answer."""

    node: DocumentNode | None = None
    operations: tuple[Operation, ...] = ()
    errors: tuple[FormattedError, ...] = ()

    @property
    def checked_node(self) -> DocumentNode:
        """The parsed text, of a document without errors."""
        assert self.node is not None
        return self.node

    def operation(self, name: str | None) -> Operation:
        """The operation to execute; raises RequestError when the name does not say which."""
        if name is None:
            if len(self.operations) == 1:
                return self.operations[0]
            names = ", ".join(str(operation.name) for operation in self.operations[:10]) or "none"
            raise _unresolved(f"operationName: needed one of the document's operations ({names}), got none")
        for operation in self.operations:
            if operation.name == name:
                return operation
        raise _unresolved(f"operationName: the document has no operation {name[:80]!r}")


class DocumentCache:
    """The least recently used documents leave when the bound is passed."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: LimitSettings,
        *,
        introspection: bool,
        age_s_by_field: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._schema = schema
        self._max_ages = MaxAges(schema, age_s_by_field)
        self._limits = limits
        self.introspection = introspection
        self._rules: Sequence[type[ASTValidationRule]] = [
            *specified_rules,
            MaybeNullValidationRule,
            OneOfInputValidationRule,
            FiniteNumbersRule,
            NoNulRule,
            *([] if introspection else [NoSchemaIntrospectionCustomRule]),
        ]
        self._document_by_text: OrderedDict[str, Document | RequestError] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._document_by_text)

    def get(self, text: str) -> Document:
        """The document of a query text; raises RequestError when it breaks a limit."""
        found = self._document_by_text.get(text)
        if found is None:
            found = self._look_at(text)
            self._keep(text, found)
        else:
            self._document_by_text.move_to_end(text)
        if isinstance(found, RequestError):
            raise found.again()
        return found

    def _keep(self, text: str, document: Document | RequestError) -> None:
        size = BYTES_PER_CHARACTER * len(text) + 1_000
        if size > self._limits.document_cache_bytes:
            return
        self._document_by_text[text] = document
        self.bytes += size
        while self.bytes > self._limits.document_cache_bytes:
            oldest, _ = self._document_by_text.popitem(last=False)
            self.bytes -= BYTES_PER_CHARACTER * len(oldest) + 1_000

    def _look_at(self, text: str) -> Document | RequestError:
        try:
            node = parse(text, max_lexical_tokens=self._limits.tokens, max_comments=self._limits.tokens)
        except GraphQLSyntaxError as error:
            if "nested too deeply" in error.message:
                return too_complex("depth", None, MAX_NESTING_DEPTH)
            if "Parsing aborted" in error.message:
                return too_complex("tokens", None, self._limits.tokens)
            return Document(errors=(formatted(error, "GRAPHQL_PARSE_FAILED"),))
        try:
            operations = tuple(self._operations(text, node))
        except RequestError as refusal:
            return refusal.again()
        errors = validate(
            self._schema, node, self._rules, MOST_VALIDATION_ERRORS, hide_suggestions=not self.introspection
        )
        if errors:
            return Document(errors=tuple(_refused(error) for error in errors))
        return Document(node, tuple(self._aged(node, operation) for operation in operations))

    def _aged(self, document: DocumentNode, operation: Operation) -> Operation:
        """The operation of a valid document with its maximum age."""
        node = get_operation_ast(document, operation.name)
        assert node is not None
        return msgspec.structs.replace(operation, max_age_s=self._max_ages.of(document, node))

    def _operations(self, text: str, node: DocumentNode) -> Iterator[Operation]:
        walk = DocumentPass(self._schema, node)
        for definition in node.definitions:
            if isinstance(definition, OperationDefinitionNode):
                counts = walk.count(definition)
                check(counts, self._limits)
                yield _operation(text, definition, OperationCost(counts.cost, self._limits.list_size))


def _operation(text: str, node: OperationDefinitionNode, cost: OperationCost) -> Operation:
    name = node.name.value if node.name else None
    defaults = {
        variable.variable.name.value: value_from_ast_untyped(variable.default_value)
        for variable in node.variable_definitions or ()
        if variable.default_value
    }
    digest = hashlib.blake2b(f"{name or ''}\n{text}".encode(), digest_size=16).hexdigest()
    return Operation(name, node.operation, cost, defaults, digest)


def _unresolved(message: str) -> RequestError:
    return RequestError("OPERATION_RESOLUTION_FAILURE", message)


def _refused(error: GraphQLError) -> FormattedError:
    if (error.extensions or {}).get("code") == "BAD_USER_INPUT":  # a rule of ours, about a value
        return formatted(error, "BAD_USER_INPUT")
    return formatted(error, "GRAPHQL_VALIDATION_FAILED")
