"""Clients of subscriptions over real connections: a WebSocket that speaks the protocol, a stream of events."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.events import Ping as WirePing

PROTOCOL = "graphql-transport-ws"


class Refused(Exception):
    """The server did not open the WebSocket; the argument is the status."""


class Closed(Exception):
    """The server closed the WebSocket."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Socket:
    """A WebSocket; what the server says is read one message at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self.subprotocol: str | None = None

    async def handshake(self, host: str, headers: Mapping[str, str], subprotocols: list[str]) -> None:
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._send(Request(host=host, target="/graphql", extra_headers=extra, subprotocols=subprotocols))
        match await self._event():
            case AcceptConnection() as accepted:
                self.subprotocol = accepted.subprotocol
            case RejectConnection() as rejected:
                raise Refused(rejected.status_code)

    def say(self, **message: Any) -> None:
        """Send a message."""
        self._send(TextMessage(data=orjson.dumps(message).decode()))

    def say_text(self, text: str) -> None:
        self._send(TextMessage(data=text))

    def say_bytes(self, data: bytes) -> None:
        self._send(BytesMessage(data=data))

    async def hear(self) -> dict[str, Any]:
        """The next message; raises Closed when there is none any more."""
        async with asyncio.timeout(30):
            event = await self._event()
        if isinstance(event, CloseConnection):
            self._send(event.response())
            raise Closed(event.code, event.reason or "")
        assert isinstance(event, TextMessage)
        found: dict[str, Any] = orjson.loads(event.data)
        return found

    async def sign_in(self, token: str | None) -> None:
        """Be acknowledged, with a token or as nobody."""
        payload = {} if token is None else {"payload": {"Authorization": f"Bearer {token}"}}
        self.say(type="connection_init", **payload)
        assert await self.hear() == {"type": "connection_ack"}

    def subscribe(self, query: str, id: str = "1", **more: Any) -> None:
        self.say(type="subscribe", id=id, payload={"query": query, **more})

    async def next(self, id: str = "1") -> Any:
        """The data of the next event."""
        message = await self.hear()
        assert (message["type"], message["id"]) == ("next", id), message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]

    async def error(self, id: str = "1") -> tuple[str, str]:
        """Code and message of the error that ends an operation."""
        message = await self.hear()
        assert (message["type"], message["id"]) == ("error", id), message
        [error] = message["payload"]
        return error["extensions"]["code"], error["message"]

    def leave(self) -> None:
        if self._protocol.state is ConnectionState.OPEN:
            self._send(CloseConnection(code=1000))
        self._writer.close()

    def _send(self, event: Event) -> None:
        self._writer.write(self._protocol.send(event))

    async def _event(self) -> Event:
        while (event := next(self._protocol.events(), None)) is None or isinstance(event, WirePing):
            if event is None:
                self._protocol.receive_data(await self._reader.read(65_536) or None)
            else:
                self._send(event.response())
        return event


@asynccontextmanager
async def connected(
    port: int, *, headers: Mapping[str, str] | None = None, subprotocols: list[str] | None = None, host: str = ""
) -> AsyncIterator[Socket]:
    """A WebSocket at /graphql."""
    socket = Socket(*await asyncio.open_connection("127.0.0.1", port))
    try:
        asked = [PROTOCOL] if subprotocols is None else subprotocols
        await socket.handshake(host or f"127.0.0.1:{port}", headers or {}, asked)
        yield socket
    finally:
        socket.leave()


class Stream:
    """An answer over HTTP/1.1 that may be a stream of events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self._unread = b""

    async def ask(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        raw = orjson.dumps(body)
        lines = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._writer.write(f"POST /graphql HTTP/1.1\r\n{head}\r\n".encode() + raw)
        first, *others = (await self._reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in others)}

    async def body(self) -> Any:
        """The whole of an answer that is no stream."""
        return orjson.loads(await self._reader.readexactly(int(self.headers["content-length"])))

    async def event(self) -> tuple[str, Any] | None:
        """(event, data), None at the end of the stream; `alive` for a comment."""
        async with asyncio.timeout(30):
            while b"\n\n" not in self._unread:
                size = int(await self._reader.readuntil(b"\r\n"), 16)
                self._unread += (await self._reader.readexactly(size + 2))[:-2]
                if size == 0:
                    return None
        text, _, self._unread = self._unread.partition(b"\n\n")
        if text == b":":
            return "alive", None
        first, second = text.split(b"\n")
        data = second.removeprefix(b"data: ")
        return first.removeprefix(b"event: ").decode(), orjson.loads(data) if data else None

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def streaming(
    port: int, query: str, token: str | None, *, accept: str = "text/event-stream", **more: Any
) -> AsyncIterator[Stream]:
    """The answer to a POST that accepts a stream."""
    stream = Stream(*await asyncio.open_connection("127.0.0.1", port))
    try:
        authorization = {} if token is None else {"Authorization": f"Bearer {token}"}
        await stream.ask({"query": query, **more}, {"Accept": accept, **authorization})
        yield stream
    finally:
        stream.leave()
