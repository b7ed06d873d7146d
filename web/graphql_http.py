"""GraphQL over HTTP as an ASGI application: methods, media types, statuses, the deadline and clients that leave.

What an operation means is web/execution.py's business; this module only knows HTTP. A subscription becomes a stream
(web/event_stream.py), and nothing else does: some clients accept streams with every request.
"""

import asyncio
from datetime import timedelta

import msgspec
from graphql import OperationType
from starlette.types import Receive, Scope, Send

from cache.reading import Seen
from resolvers.context import Context
from telemetry.executions import executing
from telemetry.requests import current_operation
from web.answers import Answer, refusal_of
from web.body import ClientGone, read_body
from web.cache_report import is_wanted, may_see, with_touched
from web.cached_execution import Asked, CachedExecution
from web.client_watch import ClientWatch
from web.consistency import mark_in, past_the_cache, with_token
from web.deadlines import Deadline, Deadlines
from web.event_stream import send_events
from web.execution import ContextFactory, Execution, PreparedOperation, RequestFacts, request_error_status
from web.graphql_request import GraphQLRequest, check_content_type, from_body, from_query_string
from web.live import PROTOCOL, Live, Subscription, Wanted
from web.measured import operation_label
from web.negotiation import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, answer_type, takes_stream
from web.recognised import Bytes, RecognisedRequests
from web.refusals import refused, too_late
from web.request_errors import RequestError, bad_request
from web.request_headers import headers_of
from web.request_record import RequestRecord, record_of
from web.responses import header_lines, send_bytes
from web.traced import TracedOperation

ALLOWED = {"Allow": "GET, HEAD, POST, OPTIONS"}
USUAL = {"Vary": "Accept", "Cache-Control": "no-store"}


class GraphQLEndpoint:
    """The application mounted at /graphql."""

    def __init__(
        self,
        execution: Execution,
        context_factory: ContextFactory,
        timeout: timedelta,
        cached: CachedExecution | None = None,
        live: Live | None = None,
    ) -> None:
        self._execution = execution
        self._live = live
        self._recognised = RecognisedRequests(execution.documents)
        self._cached = cached
        self._context_factory = context_factory
        self._deadlines = Deadlines(timeout)
        self._mutations: set[asyncio.Task[Answer]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] == "OPTIONS":
            await send_bytes(send, 204, b"", None, header_lines(ALLOWED))
            return
        exchange = _Exchange(scope, receive, self._deadlines.begin())
        try:
            with TracedOperation(exchange.record):
                answer = await self._answer(exchange)
                exchange.record.error_codes = answer.error_codes
            if exchange.events is not None:
                exchange.record.first_ms = exchange.deadline.spent_ms(self._deadlines)
                await send_events(exchange.events, answer, scope, receive, send)
                return
        finally:
            if exchange.events is not None:
                exchange.events.close()
        lines = header_lines(USUAL | answer.headers) if answer.lines is None else answer.lines
        content_type, is_head = f"{exchange.media_type}; charset=utf-8", scope["method"] == "HEAD"
        await send_bytes(send, answer.status, answer.body, content_type, lines, is_head=is_head)

    async def finish_mutations(self) -> None:
        """Wait for the mutations whose requests are over; called before the resources close."""
        await asyncio.gather(*self._mutations, return_exceptions=True)

    async def _answer(self, exchange: "_Exchange") -> Answer:
        """An answer whatever goes wrong; only ClientGone is raised."""
        try:
            return await self._within_deadline(exchange)
        except ClientGone:
            raise
        except Exception as error:
            return refused(error, exchange.media_type, exchange.record.request_id)

    async def _within_deadline(self, exchange: "_Exchange") -> Answer:
        watch: ClientWatch | None = None
        try:
            with exchange.deadline as deadline:
                prepared = self._prepared(await self._read(exchange), exchange)
                if isinstance(prepared, Answer):
                    return prepared
                await self._mind_token(prepared.request, exchange)
                if prepared.operation.kind is OperationType.QUERY:
                    looked = await self._look(prepared, exchange)
                    if isinstance(looked, Answer):
                        return looked
                    async with ClientWatch(exchange.receive, deadline) as watch:
                        return await self._run(prepared, exchange, looked)
                deadline.lift()
                if prepared.operation.kind is OperationType.SUBSCRIPTION:
                    return await self._first_event(prepared, exchange)
                return await self._mutate(prepared, exchange)
        except TimeoutError:
            if not exchange.deadline.is_over:
                raise
            if watch and watch.client_left:
                raise ClientGone from None
            raise too_late(self._deadlines.limit_s) from None

    async def _mind_token(self, request: GraphQLRequest, exchange: "_Exchange") -> None:
        """Pass the cache by when it has not heard of what the request's token stands for."""
        mark = mark_in(exchange.headers, request)
        if mark is not None and self._cached is not None:
            exchange.past_cache = not await self._cached.knows(mark)

    async def _look(self, prepared: PreparedOperation, exchange: "_Exchange") -> Answer | Asked | None:
        """A kept answer comes so soon that the client's leaving need not be watched for."""
        if self._cached is None or exchange.past_cache:
            return None
        headers, method = exchange.headers, exchange.scope["method"]
        return await self._cached.look(prepared, self._execution, headers, method, exchange.media_type)

    async def _first_event(self, prepared: PreparedOperation, exchange: "_Exchange") -> Answer:
        """What a stream begins with; where it fails there is no stream, but an answer like any other."""
        assert self._live is not None
        wanted = Wanted(prepared, exchange.headers, exchange.record.request_id, _host(exchange.scope))
        exchange.events = self._live.follow(wanted)
        event = await exchange.events.next()
        if event.failed:
            exchange.events.close()
            exchange.events = None
        return event.answer

    async def _mutate(self, prepared: PreparedOperation, exchange: "_Exchange") -> Answer:
        """Run a mutation to its end or to its deadline, also when the request is abandoned."""
        task = asyncio.get_running_loop().create_task(self._mutation(prepared, exchange))
        self._mutations.add(task)
        task.add_done_callback(self._mutations.discard)
        return await asyncio.shield(task)

    async def _mutation(self, prepared: PreparedOperation, exchange: "_Exchange") -> Answer:
        try:
            async with asyncio.timeout_at(exchange.deadline.at_s) as limit:
                return await self._run(prepared, exchange)
        except Exception as error:  # becomes an answer here, since nobody may be waiting for this task
            late = isinstance(error, TimeoutError) and limit.expired()
            why = too_late(self._deadlines.limit_s) if late else error
            return refused(why, exchange.media_type, exchange.record.request_id)

    async def _run(self, prepared: PreparedOperation, exchange: "_Exchange", asked: Asked | None = None) -> Answer:
        facts = RequestFacts(
            exchange.headers,
            exchange.record.request_id,
            _host(exchange.scope),
            exchange.deadline.at_s,
            prepared.operation.name,
            prepared.operation.kind,
            exchange.past_cache,
        )

        async def execute(context: object) -> Answer:
            with executing(current_operation.get()):
                return await self._execution.run(prepared, context, exchange.media_type, exchange.record.request_id)

        async def make_context(seen: Seen | None) -> object:
            return await self._context_factory(msgspec.structs.replace(facts, seen=seen))

        if self._cached and asked:
            return await self._cached.answer(asked, make_context, execute)
        context = await self._context_factory(facts)
        answer = with_token(await execute(context), context)
        if prepared.operation.kind is OperationType.QUERY:
            return past_the_cache(answer) if exchange.past_cache else answer
        if is_wanted(exchange.headers) and isinstance(context, Context) and may_see(context):
            return with_touched(answer, context)
        return answer

    async def _read(self, exchange: "_Exchange") -> Bytes:
        """The bytes that hold the operation."""
        method, headers = exchange.scope["method"], exchange.headers
        if method not in ("GET", "HEAD", "POST"):
            raise RequestError(
                "METHOD_NOT_ALLOWED", f"method: needed POST or GET, got {method[:20]}", 405, headers=ALLOWED
            )
        if not exchange.acceptable and not takes_stream(headers["accept"]):
            raise _not_acceptable(headers["accept"])
        if method != "POST":
            return Bytes(False, exchange.media_type, exchange.scope["query_string"])
        check_content_type(headers.get("content-type"), headers.get("content-encoding"))
        return Bytes(True, exchange.media_type, await read_body(exchange.receive))

    def _checked(self, asked: Bytes) -> PreparedOperation | Answer:
        """The operation that the bytes hold, if it may be executed."""
        if found := self._recognised.get(asked):
            return found
        request = from_body(asked.raw) if asked.is_body else from_query_string(asked.raw)
        try:
            prepared = self._execution.prepare(request, asked.media_type)
        except RequestError as error:
            return refusal_of(error, request_error_status(asked.media_type))
        if isinstance(prepared, PreparedOperation):
            self._recognised.keep(asked, prepared)
        return prepared

    def _prepared(self, asked: Bytes, exchange: "_Exchange") -> PreparedOperation | Answer:
        prepared = self._checked(asked)
        if isinstance(prepared, PreparedOperation):
            kind = prepared.operation.kind
            exchange.record.operation_name = (prepared.operation.name or "")[:80] or None
            exchange.record.operation_type = kind.value
            exchange.record.cost = prepared.cost
            current_operation.set(operation_label(kind.value, exchange.record.operation_name))
            if kind is OperationType.SUBSCRIPTION:
                self._check_stream(exchange)
            elif not exchange.acceptable:
                raise _not_acceptable(exchange.headers["accept"])
            elif kind is not OperationType.QUERY and exchange.scope["method"] != "POST":
                raise RequestError("METHOD_NOT_ALLOWED", f"a {kind.value} needs POST", 405, headers={"Allow": "POST"})
        return prepared

    def _check_stream(self, exchange: "_Exchange") -> None:
        if self._live is None or not takes_stream(exchange.headers.get("accept")):
            raise bad_request(f"a subscription needs a WebSocket ({PROTOCOL}) or the header Accept: {EVENT_STREAM}")
        if exchange.scope["method"] == "HEAD":
            raise RequestError("METHOD_NOT_ALLOWED", "a subscription needs POST or GET", 405, headers=ALLOWED)


def _host(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


def _not_acceptable(accept: str) -> RequestError:
    message = f"Accept: needed {JSON} or {GRAPHQL_RESPONSE}, got {accept[:100]!r}"
    return RequestError("NOT_ACCEPTABLE", message, 406)


class _Exchange:
    """One HTTP request on its way through the endpoint."""

    __slots__ = (
        *("acceptable", "deadline", "events", "headers", "media_type", "past_cache", "receive", "record"),
        "scope",
    )

    def __init__(self, scope: Scope, receive: Receive, deadline: Deadline) -> None:
        self.scope = scope
        self.receive = receive
        self.deadline = deadline
        self.past_cache = False
        self.events: Subscription | None = None
        self.headers = headers_of(scope)
        self.record: RequestRecord = record_of(scope)
        accept = self.headers.get("accept")
        accepted = answer_type(accept)
        self.acceptable = accepted is not None
        self.media_type = accepted or (GRAPHQL_RESPONSE if takes_stream(accept) else JSON)
