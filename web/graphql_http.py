"""GraphQL over HTTP as an ASGI application: methods, media types, statuses, the deadline and clients that leave.

What an operation means is web/execution.py's business; this module only knows HTTP.
"""

import asyncio

import structlog
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from domain.errors import ClientError, Unavailable
from web.answers import Answer, internal_error_message, refusal, refusal_of
from web.body import ClientGone, read_body
from web.execution import ContextFactory, Execution, PreparedOperation, RequestFacts, request_error_status
from web.graphql_request import GraphQLRequest, check_content_type, from_body, from_query_string
from web.http_settings import HttpSettings, LimitSettings
from web.negotiation import GRAPHQL_RESPONSE, JSON, answer_type
from web.request_errors import RequestError
from web.request_record import RequestRecord, record_of
from web.responses import send_bytes

ALLOWED = {"Allow": "GET, HEAD, POST, OPTIONS"}
WATCH_AFTER_S = 0.05  # most requests are over by then and need no task that listens for the client's leaving

log = structlog.get_logger("rollcall.graphql")


class GraphQLEndpoint:
    """The application mounted at /graphql."""

    def __init__(
        self, execution: Execution, context_factory: ContextFactory, http: HttpSettings, limits: LimitSettings
    ) -> None:
        self._execution = execution
        self._context_factory = context_factory
        self._timeout_s = http.request_timeout.total_seconds()
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        record = record_of(scope)
        if scope["method"] == "OPTIONS":
            await send_bytes(send, 204, b"", None, ALLOWED)
            return
        headers = Headers(scope=scope)
        media_type = answer_type(headers.get("accept"))
        try:
            answer = await self._bounded(_Exchange(scope, receive, headers, media_type or JSON, record))
        except ClientGone:
            record.disconnected = True
            return
        record.error_codes = answer.error_codes
        answer_headers = {"Vary": "Accept", "Cache-Control": "no-store", **answer.headers}
        body = b"" if scope["method"] == "HEAD" else answer.body
        await send_bytes(send, answer.status, body, f"{media_type or JSON}; charset=utf-8", answer_headers)

    async def _bounded(self, exchange: "_Exchange") -> Answer:
        """The answer within the deadline; whatever goes wrong becomes an answer too."""
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        watch = ClientWatch(exchange.receive)
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                return await self._answer(exchange, deadline, watch, limit)
        except ClientGone:
            raise
        except Exception as error:
            if watch.client_left and limit.expired():
                raise ClientGone from None
            return self._refused(error, exchange, limit.expired())
        finally:
            watch.stop()

    async def _answer(
        self, exchange: "_Exchange", deadline: float, watch: "ClientWatch", limit: asyncio.Timeout
    ) -> Answer:
        request = await self._request(exchange)
        prepared = self._prepared(request, exchange)
        if isinstance(prepared, Answer):
            return prepared
        operation = prepared.operation
        record = exchange.record
        facts = RequestFacts(
            exchange.headers,
            record.request_id,
            (exchange.scope.get("client") or ("",))[0],
            deadline,
            operation.name,
            operation.kind,
        )
        if operation.kind is OperationType.QUERY:
            watch.start(limit)
        context = await self._context_factory(facts)
        return await self._execution.run(prepared, context, exchange.media_type, record.request_id)

    async def _request(self, exchange: "_Exchange") -> GraphQLRequest:
        method, headers = exchange.scope["method"], exchange.headers
        if method not in ("GET", "HEAD", "POST"):
            raise RequestError(
                "METHOD_NOT_ALLOWED", f"method: needed POST or GET, got {method[:20]}", 405, headers=ALLOWED
            )
        if answer_type(headers.get("accept")) is None:
            shown = headers["accept"][:100]
            raise RequestError("NOT_ACCEPTABLE", f"Accept: needed {JSON} or {GRAPHQL_RESPONSE}, got {shown!r}", 406)
        if method != "POST":
            return from_query_string(exchange.scope["query_string"])
        check_content_type(headers.get("content-type"), headers.get("content-encoding"))
        return from_body(await read_body(exchange.scope["headers"], exchange.receive, self._limits.body_bytes))

    def _prepared(self, request: GraphQLRequest, exchange: "_Exchange") -> PreparedOperation | Answer:
        try:
            prepared = self._execution.prepare(request, exchange.media_type)
        except RequestError as error:
            return refusal_of(error, request_error_status(exchange.media_type))
        if isinstance(prepared, PreparedOperation):
            kind = prepared.operation.kind
            exchange.record.operation_name = (prepared.operation.name or "")[:80] or None
            exchange.record.operation_type = kind.value
            exchange.record.cost = prepared.cost
            if kind is not OperationType.QUERY and exchange.scope["method"] != "POST":
                raise RequestError("METHOD_NOT_ALLOWED", f"a {kind.value} needs POST", 405, headers={"Allow": "POST"})
        return prepared

    def _refused(self, error: Exception, exchange: "_Exchange", expired: bool) -> Answer:
        """What stopped the request before or instead of its execution."""
        match error:
            case TimeoutError() if expired:
                message = f"the request took longer than {self._timeout_s:g} s and was cancelled; ask for less at once"
                return refusal_of(RequestError("REQUEST_TIMEOUT", message), 504)
            case RequestError():
                return refusal_of(error, error.status, error.headers)
            case Unavailable():
                return refusal_of(error, 503)
            case ClientError(code="UNAUTHENTICATED"):  # from the context factory: a token that is no longer good
                return refusal_of(error, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            case ClientError():
                refused = 403 if error.code == "FORBIDDEN" else request_error_status(exchange.media_type)
                return refusal_of(error, refused)
        request_id = exchange.record.request_id
        log.error("request failed", request_id=request_id, exc_info=error)
        entry = {"message": internal_error_message(request_id), "extensions": {"code": "INTERNAL_SERVER_ERROR"}}
        return refusal([entry], 500)


class _Exchange:
    """One HTTP request on its way through the endpoint."""

    __slots__ = ("headers", "media_type", "receive", "record", "scope")

    def __init__(
        self, scope: Scope, receive: Receive, headers: Headers, media_type: str, record: RequestRecord
    ) -> None:
        self.scope = scope
        self.receive = receive
        self.headers = headers
        self.media_type = media_type
        self.record = record


class ClientWatch:
    """Listens for the client closing the connection and then ends the request's time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self.client_left = False

    def start(self, limit: asyncio.Timeout) -> None:
        """Begin to listen when the request proves to be a long one."""
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._listen, limit)

    def stop(self) -> None:
        """Stop listening."""
        if self._timer:
            self._timer.cancel()
        if self._task:
            self._task.cancel()

    def _listen(self, limit: asyncio.Timeout) -> None:
        self._task = asyncio.get_running_loop().create_task(self._until_gone(limit))

    async def _until_gone(self, limit: asyncio.Timeout) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_left = True
        limit.reschedule(0)
