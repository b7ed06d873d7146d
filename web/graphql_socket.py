"""Subscriptions and queries over a WebSocket: the protocol graphql-transport-ws, with its codes.

One client, one token: what `connection_init` brings is what a request would bring as its header. Mutations go by HTTP,
where they are finished and retried safely.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import orjson
import structlog
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from domain.errors import Unauthenticated, Unavailable
from telemetry.counters import count
from telemetry.gauges import gauge
from telemetry.requests import current_request
from web.answers import Answer
from web.graphql_request import from_message
from web.live import PROTOCOL, Live, Wanted
from web.negotiation import GRAPHQL_RESPONSE
from web.origins import may_open
from web.refusals import refused
from web.request_errors import bad_request
from web.request_headers import headers_of
from web.request_record import new_record
from web.responses import problem
from web.socket_messages import Closing, Message, message_in, of_answer

INITIALISED_WITHIN: Final = timedelta(seconds=10)
SLOWEST: Final = timedelta(seconds=30)
"""A client that takes nothing for so long is given up."""

log = structlog.get_logger("rollcall.access")


class GraphQLSocket:
    """The application that WebSockets at /graphql meet."""

    def __init__(
        self,
        live: Live,
        *,
        origins: Collection[str],
        most: int,
        most_operations: int,
        most_bytes: int,
        idle: timedelta,
        initialised_within: timedelta = INITIALISED_WITHIN,
    ) -> None:
        self.live = live
        self.open = 0
        self.most_operations = most_operations
        self.most_bytes = most_bytes
        self.idle = idle
        self.initialised_within = initialised_within
        self._most = most
        gauge("sockets", lambda: self.open)
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Talk with one client."""
        headers = headers_of(scope)
        origin = headers.get("origin")
        if not may_open(origin, headers.get("host", ""), self._origins):
            detail = f"Origin: {origin[:100]!r} may not open WebSockets here; CORS_ORIGINS lists other pages that may"
            await problem(403, "FORBIDDEN", detail)(scope, receive, send)
            return
        if self.open >= self._most:
            count("subscription_events", "refused")
            detail = f"WebSockets: this worker has {self._most:,}, as many as it takes; try again later"
            await problem(503, "SERVICE_UNAVAILABLE", detail, {"Retry-After": "5"})(scope, receive, send)
            return
        self.open += 1
        try:
            await self._talk(scope, receive, send)
        finally:
            self.open -= 1

    async def _talk(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if PROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 4406, "reason": f"Subprotocol not acceptable: {PROTOCOL}"})
            return
        await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
        await _Talk(self, scope, receive, send).run()


class _Talk:
    """The connection of one client."""

    def __init__(self, socket: GraphQLSocket, scope: Scope, receive: Receive, send: Send) -> None:
        self._socket = socket
        self._scope = scope
        self._receive = receive
        self._send = send
        self._request_id = new_record(headers_of(scope).first).request_id
        self._headers: Headers | None = None
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._running: set[asyncio.Task[None]] = set()
        """Of the operations also those that are over and have yet to say so: their ids may be used again."""
        self._number = 0
        self._idle = self._after_idling()
        self._closing: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Listen until either side closes."""
        current_request.set(self._request_id)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        listening = asyncio.create_task(self._listen())
        too_long = loop.call_later(self._socket.initialised_within.total_seconds(), self._check_initialised)
        try:
            either: list[asyncio.Future[Any]] = [listening, self._closing]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            too_long.cancel()
            tasks = [listening, *self._running]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            self._idle.cancel()  # last: each operation that ends begins it anew
        closing = self._closing.result() if self._closing.done() else None
        if closing is not None:
            with suppress(Closing):
                await self._deliver({"type": "websocket.close", "code": closing.code, "reason": closing.reason})
        elif not listening.cancelled():
            listening.result()  # a bug of ours, if anything
        seconds, code = loop.time() - began_s, closing.code if closing else None
        log.info("socket", request_id=self._request_id, ms=round(seconds * 1e3), operations=self._number, code=code)

    def _close(self, closing: Closing) -> None:
        if not self._closing.done():
            self._closing.set_result(closing)

    def _check_initialised(self) -> None:
        if self._headers is None:
            self._close(Closing(4408, "Connection initialisation timeout"))

    def _after_idling(self) -> asyncio.TimerHandle:
        idle_s = self._socket.idle.total_seconds()
        return asyncio.get_running_loop().call_later(idle_s, self._check_idle, idle_s)

    def _check_idle(self, idle_s: float) -> None:
        if not self._running:
            self._close(Closing(1000, f"nothing ran here for {idle_s:g} s"))

    async def _listen(self) -> None:
        try:
            while (given := await self._receive())["type"] == "websocket.receive":
                await self._obey(message_in(given, self._socket.most_bytes))
        except Closing as closing:
            self._close(closing)

    async def _obey(self, message: Message) -> None:
        match message.type:
            case "connection_init":
                await self._initialise(message.fields.get("payload"))
            case "ping":
                payload = message.fields.get("payload")
                await self._tell({"type": "pong"} | ({} if payload is None else {"payload": payload}))
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(message)
            case "complete":
                if operation := self._operations.pop(message.id, None):
                    operation.cancel()
            case _:
                raise Closing(4400, f"Invalid message: unknown type {message.type[:40]!r}")

    # ---------------------------------------------------------------------------------------------------- signing in

    async def _initialise(self, payload: object) -> None:
        if self._headers is not None:
            raise Closing(4429, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise Closing(4400, "Invalid message: the payload of connection_init needs to be an object")
        self._headers = headers = self._signed_by(payload or {})
        try:
            await self._socket.live.admit(headers, self._request_id)
        except Unauthenticated as error:
            raise Closing(4403, f"Forbidden: {error.message}") from None
        except Unavailable as error:
            raise Closing(1013, error.message) from None
        await self._tell({"type": "connection_ack"})

    def _signed_by(self, payload: Mapping[str, object]) -> Headers:
        """What a request of this client would bring; `payload` names its token as the header does, in any case."""
        given = [value for name, value in payload.items() if name.lower() == "authorization" and value is not None]
        if any(not isinstance(value, str) for value in given):
            raise Closing(4400, "Invalid message: Authorization needs to be a string")
        own = headers_of(self._scope).get("authorization")
        token = str(given[0]) if given else own
        try:
            return Headers({} if token is None else {"authorization": token})
        except UnicodeEncodeError:
            raise Closing(4403, "Forbidden: the token is malformed") from None

    # ---------------------------------------------------------------------------------------------------- operations

    async def _subscribe(self, message: Message) -> None:
        if self._headers is None:
            raise Closing(4401, "Unauthorized: connection_init comes first")
        if not message.id or not isinstance(message.fields.get("payload"), dict):
            raise Closing(4400, "Invalid message: subscribe needs an id and a payload that is an object")
        if message.id in self._operations:
            raise Closing(4409, f"Subscriber for {message.id[:40]} already exists")
        self._number += 1
        task = self._operations[message.id] = asyncio.create_task(self._operate(message, self._headers))
        self._running.add(task)
        task.add_done_callback(self._ended)
        while len(self._running) > self._socket.most_operations + 1:  # the client takes what it was refused with first
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._idle.cancel()
        self._idle = self._after_idling()

    async def _operate(self, message: Message, headers: Headers) -> None:
        request_id = f"{self._request_id}-{self._number}"
        current_request.set(request_id)
        try:
            refusal = await self._outcome(message, headers, request_id)
            if self._operations.get(message.id) is asyncio.current_task():
                del self._operations[message.id]
            if refusal is not None:
                await self._say(of_answer("error", message.id, refusal))
            else:
                await self._tell({"type": "complete", "id": message.id})
        except Closing as closing:
            self._close(closing)

    async def _outcome(self, message: Message, headers: Headers, request_id: str) -> Answer | None:
        try:
            return await self._followed(message, headers, request_id)
        except Closing:
            raise
        except Exception as error:
            return refused(error, GRAPHQL_RESPONSE, request_id)

    async def _followed(self, message: Message, headers: Headers, request_id: str) -> Answer | None:
        """Tell all events; an answer that says what has ended them, if it was no good end."""
        socket = self._socket
        if len(self._operations) > socket.most_operations:
            most = socket.most_operations
            raise bad_request(f"operations of this connection: at most {most} allowed at once; complete one first")
        prepared = socket.live.execution.prepare(from_message(message.raw, message.fields["payload"]), GRAPHQL_RESPONSE)
        if isinstance(prepared, Answer):
            return prepared
        if prepared.operation.kind is OperationType.MUTATION:
            raise bad_request("a mutation needs POST: over a WebSocket only queries and subscriptions are served")
        host = str((self._scope.get("client") or ("",))[0])
        events = socket.live.follow(Wanted(prepared, headers, request_id, host))
        try:
            while True:
                event = await events.next()
                if event.denied is not None:
                    raise Closing(4403, f"Forbidden: {event.denied}")
                if event.failed:
                    return event.answer
                await self._say(of_answer("next", message.id, event.answer))
                if event.is_last:
                    return None
        finally:
            events.close()

    # ------------------------------------------------------------------------------------------------------- telling

    async def _tell(self, message: Mapping[str, Any]) -> None:
        await self._say(orjson.dumps(message).decode())

    async def _say(self, text: str) -> None:
        await self._deliver({"type": "websocket.send", "text": text})

    async def _deliver(self, message: dict[str, Any]) -> None:
        """Send to the client; one who has left, or takes nothing, ends the talk."""
        try:
            async with asyncio.timeout(SLOWEST.total_seconds()):
                await self._send(message)
        except Exception as error:
            raise Closing(1011, f"the client takes nothing: {type(error).__name__}") from error
