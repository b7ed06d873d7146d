"""How a worker leaves without losing a request: it stops accepting, tells every client to go, and waits for them.

Wraps the application and hypercorn's listener; hypercorn itself closes idle connections under the clients' hands.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from datetime import timedelta
from typing import Any, Final

from cluster.accepting import Accepting
from cluster.child import Command
from cluster.connection import Connection, current_connection
from cluster.http2 import tell_everyone_to_go
from cluster.listener import QUEUE_LENGTH
from cluster.outgoing import Outgoing
from web.responses import LEAVING

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_QUIET_S: Final = 0.25
"""When the service stops, connections on which nothing came for so long are closed."""

_IDLE_S: Final = 1.0
"""A connection on which nothing came for so long is closed by a worker that leaves.

One that is in use gets Connection: close with its next answer instead: a request that is under way to us meanwhile
would be lost. Of an idle connection that is unlikely, and the idle ones of a proxy would last for the whole drain.
"""

_POLL_S: Final = 0.02


class Drain:
    """Counts connections and requests of one worker and ends them in good order, within `limit`.

    `refusal` is why the application's lifespan did not start, if so.
    """

    def __init__(self, limit: timedelta) -> None:
        self.requests = 0
        self.in_flight = 0
        self.listening = asyncio.Event()
        self.finished = asyncio.Event()
        self._leaving = asyncio.Event()
        self.refusal: str | None = None
        self._limit = limit
        self._command: Command | None = None
        self._draining: asyncio.Task[None] | None = None
        self._servers: list[asyncio.Server] = []
        self._accepting = Accepting()
        self._open: set[Connection] = set()

    @contextlib.contextmanager
    def watching_listeners(self) -> Iterator[None]:
        """Within it asyncio.start_server is ours: a name of the standard library outlives hypercorn's own."""
        original = asyncio.start_server

        async def start_server(callback: Callable[..., Awaitable[None]], **options: Any) -> asyncio.Server:
            server = await self._accepting.listen(self._counted(callback), **options)
            _restore_queue(server)
            _never_wait(server)
            self._servers.append(server)
            self.listening.set()
            return server

        asyncio.start_server = start_server  # type: ignore[assignment]
        try:
            yield
        finally:
            asyncio.start_server = original

    def _counted(self, callback: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = Connection(reader, writer)
            current_connection.set(connection)
            self._open.add(connection)
            try:
                with contextlib.suppress(asyncio.CancelledError):  # asyncio (3.11) would print it with a traceback
                    await callback(connection, Outgoing(writer))
            finally:
                self._open.discard(connection)

        return counted

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    @property
    def leaving(self) -> bool:
        """Whether the worker was told to go."""
        return self._leaving.is_set()

    def facts(self) -> dict[str, int]:
        """What the worker reports about its traffic."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "connections": self.connections,
        }

    def begin(self, command: Command) -> None:
        """Start leaving; STOP after LEAVE shortens the wait, any other second call changes nothing."""
        if self._command is None or command is Command.STOP:
            self._command = command
        self._leaving.set()
        if self._draining is None:
            self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        """Stop accepting and wait for what is open: connections in use on LEAVE, requests in flight on STOP."""
        for server in self._servers:
            server.close()  # the socket itself stays open in the supervisor: nobody is refused
        quiet_since_s = time.monotonic()
        end_s = quiet_since_s + self._limit.total_seconds()
        while (self.connections or len(self._accepting)) and time.monotonic() < end_s:
            await tell_everyone_to_go()  # each time: some were accepted before and begin only now
            if self.in_flight:
                quiet_since_s = time.monotonic()
            elif self._command is Command.STOP and time.monotonic() - quiet_since_s > _QUIET_S:
                break
            for connection in list(self._open):
                connection.end_if_quiet(_IDLE_S)
            await asyncio.sleep(_POLL_S)
        self.finished.set()

    def around(self, application: Application) -> Application:
        """The application, with its requests counted and its clients told to go while the worker leaves."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                await self._request(application, scope, receive, send)
            elif scope["type"] == "websocket":
                with current_connection.get().answering():
                    await _WebSocket(self._leaving, receive, send).run(application, scope)
            else:
                await self._lifespan(application, scope, receive, send)

        return watched

    async def _request(self, application: Application, scope: Scope, receive: Receive, send: Send) -> None:
        one_connection_per_request = scope["http_version"].startswith("1")  # HTTP/2 forbids the header

        async def send_on(message: Message) -> None:
            told = one_connection_per_request and self._leaving.is_set()
            if told and message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
            await send(message)

        scope[LEAVING] = self._leaving
        self.requests += 1
        self.in_flight += 1
        try:
            with current_connection.get().answering():
                await application(scope, receive, send_on)
        finally:
            self.in_flight -= 1

    async def _lifespan(self, application: Application, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application's lifespan; keep an error at startup, where hypercorn would serve on without."""
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            started = started or message["type"].startswith("lifespan.startup.")
            if message["type"] == "lifespan.startup.failed":
                self.refusal = _last_line(message.get("message", ""))
            await send(message)

        try:
            await application(scope, receive, send_on)
        except Exception as error:
            if started:
                raise
            await send_on({"type": "lifespan.startup.failed", "message": str(error) or type(error).__name__})


class _WebSocket:
    """A WebSocket that is closed with 1001, "going away", when its worker leaves."""

    def __init__(self, leaving: asyncio.Event, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._gone = asyncio.ensure_future(leaving.wait())
        self._next: asyncio.Future[Message] | None = None

    async def run(self, application: Application, scope: Scope) -> None:
        try:
            await application(scope, self._receive_or_leave, self._send)
        finally:
            self._gone.cancel()
            if self._next is not None:
                self._next.cancel()

    async def _receive_or_leave(self) -> Message:
        if self._next is None:
            self._next = asyncio.ensure_future(self._receive())
        await asyncio.wait((self._next, self._gone), return_when=asyncio.FIRST_COMPLETED)
        if self._next.done():
            message, self._next = self._next.result(), None
            return message
        await self._send({"type": "websocket.close", "code": 1001})
        return {"type": "websocket.disconnect", "code": 1001}


def _last_line(text: str) -> str:
    """The line of a traceback that counts: Starlette reports a failed start with a whole one."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "the application gave no reason"


def _restore_queue(server: asyncio.Server) -> None:
    """Lengthen the shared queue again: a backlog of 1, which makes asyncio accept one at a time, had shortened it."""
    for listener in server.sockets:
        with socket.socket(fileno=os.dup(listener.fileno())) as duplicate:
            duplicate.listen(QUEUE_LENGTH)


def _never_wait(server: asyncio.Server) -> None:
    """Keep hypercorn from waiting for all connections before its graceful timeout starts (hypercorn#308, 3.12)."""

    async def wait_closed() -> None:
        pass

    with contextlib.suppress(AttributeError):  # uvloop's server is closed for changes, and does not wait
        server.wait_closed = wait_closed  # type: ignore[method-assign]
