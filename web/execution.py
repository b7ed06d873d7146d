"""From a GraphQL request to an answer: document, operation, cost, context, execution by graphql-core.

Strawberry's schema extensions are left out on purpose: limits, masking and caching are done here and once.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
from graphql import ExecutionResult, GraphQLSchema, OperationType, execute
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from cache.reading import Seen
from web.answers import Answer, executed, formatted, refusal
from web.documents import Document, DocumentCache, Operation
from web.graphql_request import GraphQLRequest
from web.http_settings import LimitSettings
from web.limits import too_complex
from web.negotiation import GRAPHQL_RESPONSE
from web.row_executor import RowExecutor

if TYPE_CHECKING:
    from starlette.datastructures import Headers

IS_AWAITABLE: Any = optimized_is_awaitable  # typed `bool` there, where graphql-core asks for a TypeGuard


class RequestFacts(msgspec.Struct, frozen=True):
    """What the context of an operation is made from; `deadline` is in the event loop's time.

    `past_cache`: nothing that the cache knows is new enough. `seen`: what has been looked for in the cache already.
    """

    headers: "Headers"
    request_id: str
    client_host: str
    deadline: float
    operation_name: str | None
    operation_type: OperationType
    past_cache: bool = False
    seen: Seen | None = None


ContextFactory = Callable[[RequestFacts], Awaitable[object]]


class PreparedOperation(msgspec.Struct, frozen=True):
    """An operation that passed every check that needs no database."""

    document: Document
    operation: Operation
    request: GraphQLRequest
    cost: int
    key: bytes
    """What the operation is known by: its text, name and variables, and the form of the answer."""


class Execution:
    """Prepares and runs operations against one schema; shared by all requests of a worker."""

    def __init__(
        self,
        schema: Schema,
        limits: LimitSettings,
        *,
        introspection: bool = True,
        age_s_by_field: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._schema: GraphQLSchema = schema._schema
        self._executor_class: Any = RowExecutor
        self._limits = limits
        self.documents = DocumentCache(self._schema, limits, introspection=introspection, age_s_by_field=age_s_by_field)

    def prepare(self, request: GraphQLRequest, media_type: str) -> PreparedOperation | Answer:
        """Look the document up, choose its operation and price it; an Answer is a refusal."""
        document = self.documents.get(request.query)
        if document.errors:
            return refusal(document.errors, request_error_status(media_type))
        operation = document.operation(request.operation_name)
        cost = operation.cost.under(operation.variable_defaults | request.variables)
        if cost > self._limits.cost:
            raise too_complex("cost", cost, self._limits.cost)
        return PreparedOperation(document, operation, request, cost, _key(request, operation, media_type))

    async def run(self, prepared: PreparedOperation, context: object, media_type: str, request_id: str) -> Answer:
        """Execute and encode; errors of resolvers become entries of the answer."""
        outcome = execute(
            self._schema,
            prepared.document.checked_node,
            context_value=context,
            variable_values=prepared.request.variables,
            operation_name=prepared.operation.name,
            is_awaitable=IS_AWAITABLE,
            executor_class=self._executor_class,
            hide_suggestions=not self.documents.introspection,
            operation_extensions=None,
        )
        result: ExecutionResult = await outcome if isawaitable(outcome) else outcome
        if result.data is None and result.errors and all(error.path is None for error in result.errors):
            entries = [formatted(error, "BAD_USER_INPUT") for error in result.errors]  # variables did not fit
            return refusal(entries, request_error_status(media_type))
        return executed(result.data, result.errors, media_type, request_id)


def _key(request: GraphQLRequest, operation: Operation, media_type: str) -> bytes:
    parts = [request.query, operation.name or "", media_type, request.variables]
    return hashlib.blake2b(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def request_error_status(media_type: str) -> int:
    """Of a well-formed request that was not executed: application/json says 200 for the sake of older clients."""
    return 400 if media_type == GRAPHQL_RESPONSE else 200
