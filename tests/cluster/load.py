"""Clients that hold the cluster under load: raw keep-alive HTTP/1.1 over sockets, without any retry."""

import asyncio
import ssl
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Event, Ping, Request, TextMessage

from tests.cluster.conftest import until


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, method: str = "POST"
) -> tuple[int, str, bool]:
    """One request on an open connection: status, body, and whether the server closes the connection after it."""
    writer.write(f"{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{{}}".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head.split(" ", 2)[1]), body.decode(), headers.get("connection") == "close"


async def ask_once(port: int, path: str = "/", tls: ssl.SSLContext | None = None) -> tuple[int, str]:
    """One request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        status, body, _ = await ask(reader, writer, path)
        return status, body
    finally:
        writer.close()


async def in_flight(port: int, folder: Path, doing: str, number: int = 1) -> list[asyncio.Task[tuple[int, str]]]:
    """Requests that the application has begun to answer; its query says what it is `doing`, e.g. sleep_s=1."""
    begun = folder / "begun"
    asked = [asyncio.create_task(ask_once(port, f"/?{doing}&begun={begun}")) for _ in range(number)]
    await until(lambda: begun.exists() and begun.stat().st_size == number, f"{number} requests are being answered")
    return asked


@dataclass
class Load:
    """`clients` connections that ask all the time; `answers` counts by process id, `failures` by what went wrong."""

    port: int
    clients: int = 16
    path: str = "/?sleep_s=0.002"
    keep_alive: bool = True
    method: str = "POST"
    pause_s: float = 0.0
    tls: ssl.SSLContext | None = None
    answers: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> "Load":
        self._stopped = False
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopped = True
        await asyncio.gather(*self._tasks)

    @property
    def total(self) -> int:
        return self.answers.total()

    async def more(self, answers: int, limit_s: float = 20) -> None:
        """Wait until so many further requests were answered."""
        wanted = self.total + answers
        async with asyncio.timeout(limit_s):
            while self.total < wanted:
                await asyncio.sleep(0.01)

    async def _client(self) -> None:
        while not self._stopped:
            try:
                await self._connection()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failures[type(error).__name__] += 1

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls)
        try:
            last = not self.keep_alive
            while not self._stopped and not reader.at_eof():
                status, body, closes = await ask(reader, writer, self.path, self.method)
                if status == 200:
                    self.answers[body] += 1
                else:
                    self.failures[str(status)] += 1
                if closes or last:
                    return
                await asyncio.sleep(self.pause_s)
        finally:
            writer.close()


class WebSocket:
    """A WebSocket client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._protocol = WSConnection(ConnectionType.CLIENT)

    @classmethod
    async def open(cls, port: int) -> "WebSocket":
        socket = cls(*await asyncio.open_connection("127.0.0.1", port))
        socket._send(Request(host="test", target="/"))
        assert isinstance(await socket._event(), AcceptConnection)
        return socket

    async def echo(self, text: str) -> str:
        self._send(TextMessage(data=text))
        answer = await self._event()
        assert isinstance(answer, TextMessage)
        return str(answer.data)

    async def closed(self) -> int:
        """The code with which the server closes."""
        event = await self._event()
        assert isinstance(event, CloseConnection)
        self._send(event.response())
        self._writer.close()
        return event.code

    def _send(self, event: Event) -> None:
        self._writer.write(self._protocol.send(event))

    async def _event(self) -> Event:
        while (event := next(self._protocol.events(), None)) is None or isinstance(event, Ping):
            if event is None:
                self._protocol.receive_data(await self._reader.read(65_536) or None)
        return event
