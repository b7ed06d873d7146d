"""Connections that send prepared HTTP/1.1 requests at their time and say how each one ended, for thousands a second.

Callbacks and no tasks: at 2,000 requests a second a task for each costs more than the request.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import Final, cast

import msgspec

REFUSED: Final = "connection refused"
LOST: Final = "connection lost"
LATE: Final = "timeout"
UNREADABLE: Final = "unreadable answer"
_SWEEP_S: Final = 0.1


class Request(msgspec.Struct):
    """One request; times are the event loop's, `due_s` is when it was meant to leave."""

    number: int
    payload: bytes
    due_s: float
    sent_s: float = 0.0


class Ending(msgspec.Struct):
    """How a request ended; without an answer `failure` says why, else there is a status."""

    status: int
    body: bytes
    failure: str = ""


OnEnd = Callable[[Request, Ending], None]


class Place(msgspec.Struct, frozen=True):
    """Where to connect."""

    host: str
    port: int
    tls: bool = False

    def context(self) -> ssl.SSLContext | None:
        """For TLS, that of the system."""
        return ssl.create_default_context() if self.tls else None


class Client:
    """At most `most` connections, opened when they are needed; what finds none idle waits here, and the clock runs."""

    def __init__(self, place: Place, on_end: OnEnd, *, most: int, limit_s: float) -> None:
        self._place, self._on_end, self._most, self._limit_s = place, on_end, most, limit_s
        self._loop = asyncio.get_running_loop()
        self._tls = place.context()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._waiting: deque[Request] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        self.opened = 0

    @property
    def under_way(self) -> int:
        """Requests without an ending."""
        return len(self._busy) + len(self._waiting)

    def send(self, request: Request) -> None:
        """Send a request as soon as a connection is idle."""
        if self._idle:
            self._start(self._idle.pop(), request)
            return
        self._waiting.append(request)
        if len(self._busy) + len(self._opening) < self._most and len(self._opening) < len(self._waiting):
            task = self._loop.create_task(self._open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def close(self) -> None:
        """Close every connection."""
        self._sweeping.cancel()
        for task in self._opening:
            task.cancel()
        for connection in (*self._idle, *self._busy):
            connection.on_end = _nobody
            connection.abort()

    def _start(self, connection: "_Connection", request: Request) -> None:
        self._busy.add(connection)
        request.sent_s = self._loop.time()
        connection.send(request)

    async def _open(self) -> None:
        place = self._place
        try:
            async with asyncio.timeout(self._limit_s):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._ended), place.host, place.port, ssl=self._tls
                )
        except (OSError, TimeoutError):
            if self._waiting:
                self._on_end(self._waiting.popleft(), Ending(0, b"", REFUSED))
            return
        self.opened += 1
        self._free(connection)

    def _ended(self, connection: "_Connection", request: Request | None, ending: Ending, reusable: bool) -> None:
        self._busy.discard(connection)
        if reusable:
            self._free(connection)
        elif connection in self._idle:
            self._idle.remove(connection)
        if request is not None:
            self._on_end(request, ending)
        if self._waiting and not reusable and not self._opening:
            self.send(self._waiting.popleft())

    def _free(self, connection: "_Connection") -> None:
        if self._waiting:
            self._start(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _sweep(self) -> None:
        oldest_s = self._loop.time() - self._limit_s
        while self._waiting and self._waiting[0].due_s < oldest_s:
            self._on_end(self._waiting.popleft(), Ending(0, b"", LATE))
        for connection in [busy for busy in self._busy if busy.request and busy.request.due_s < oldest_s]:
            connection.give_up(LATE)
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on it."""

    def __init__(self, on_end: Callable[["_Connection", Request | None, Ending, bool], None]) -> None:
        self.on_end = on_end
        self.request: Request | None = None
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def send(self, request: Request) -> None:
        """Send a request; nothing else is under way."""
        assert self._transport is not None
        self.request = request
        self._received.clear()
        self._transport.write(request.payload)

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def give_up(self, failure: str) -> None:
        """End the request without an answer; the connection is of no use any more."""
        self._end(Ending(0, b"", failure), reusable=False)
        self.abort()

    def data_received(self, data: bytes) -> None:
        """Part of an answer."""
        self._received += data
        end_of_head = self._received.find(b"\r\n\r\n")
        if end_of_head < 0 or self.request is None:
            return
        head = bytes(self._received[:end_of_head]).lower()
        size = _header(head, b"content-length")
        if size is None or not size.isdigit():
            self.give_up(UNREADABLE)
            return
        body_begins = end_of_head + 4
        if len(self._received) < body_begins + int(size):
            return
        body = bytes(self._received[body_begins : body_begins + int(size)])
        closes = _header(head, b"connection") == b"close"
        status = int(head[9:12]) if head[9:12].isdigit() else 0
        self._end(Ending(status, body), reusable=not closes)
        if closes:
            self.abort()

    def connection_lost(self, _: Exception | None) -> None:
        """The other side closed it, or we did."""
        self._end(Ending(0, b"", LOST), reusable=False)

    def _end(self, ending: Ending, *, reusable: bool) -> None:
        request, self.request = self.request, None
        self.on_end(self, request, ending, reusable)


def _header(head: bytes, name: bytes) -> bytes | None:
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    at += len(name) + 3
    end = head.find(b"\r\n", at)
    return head[at : end if end >= 0 else len(head)].strip()


def _nobody(*_: object) -> None:
    """Whoever waited has gone."""
