"""Answers over HTTP/1.1 that the application has whole are gone through once on their way to the client.

hypercorn and h11 check each line of a head three times, and write the head, the body and the end one by one. After a
head with WHOLE comes the one message with the body; both leave together, in the bytes that they would have been.
"""

from functools import lru_cache
from time import time
from typing import Any

import h11
from h11._headers import Headers, normalize_and_validate
from hypercorn.config import Config
from hypercorn.events import RawData
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.utils import suppress_body

from cluster.outgoing import AT_ONCE
from web.responses import WHOLE

Line = tuple[bytes, bytes, bytes]


class WholeAnswer:
    """What a stream hands to its connection."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


class WholeStream(HTTPStream):
    """hypercorn's request, whose head may wait for its body."""

    _head: Any = None

    async def app_send(self, message: Any) -> None:
        """As of hypercorn: what the application says, None at its end."""
        if message is not None and self.state is ASGIHTTPState.REQUEST:
            if message.get(WHOLE):
                self._head = message
                return
            if self._head is not None:
                await self._send_whole(self._head, message["body"])
                return
        await super().app_send(message)

    async def _send_whole(self, head: Any, body: bytes) -> None:
        self.response = head
        shown = b"" if suppress_body(self.scope["method"], head["status"]) else body
        await self.send(WholeAnswer(head["status"], head["headers"], shown))  # type: ignore[arg-type]
        self.state = ASGIHTTPState.CLOSED
        await self.config.log.access(self.scope, self.response, time() - self.start_time)
        await self.send(StreamClosed(stream_id=self.stream_id))


class WholeH11Protocol(H11Protocol):
    """hypercorn's HTTP/1.1, which takes whole answers from its streams."""

    async def stream_send(self, event: Any) -> None:
        """As of hypercorn."""
        if isinstance(event, WholeAnswer):
            await self._send_whole(event)
        else:
            await super().stream_send(event)

    async def _send_whole(self, answer: WholeAnswer) -> None:
        lines = [_line(name, value) for name, value in answer.headers]
        lines += _lines_of_server(self.config, int(time()))
        if self.keep_alive_requests >= self.config.keep_alive_max_requests:
            lines.append(_line(b"connection", b"close"))
        send = self.connection.send
        try:
            head = send(h11.Response(status_code=answer.status, headers=Headers(lines)))
            body = send(h11.Data(data=answer.body)) if answer.body else b""
            end = send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
        else:
            parts = [b"".join((head, body, end))] if len(body) < AT_ONCE else [head, body, end]
            for data in parts:
                await self.send(RawData(data))


@lru_cache(maxsize=4096)
def _line(name: bytes, value: bytes) -> Line:
    """A line of a head, checked and as h11 keeps it; most are the same again and again."""
    [line] = normalize_and_validate([(name.strip(), value.strip())])._full_items
    return line


@lru_cache(maxsize=1)
def _lines_of_server(config: Config, second: int) -> list[Line]:  # noqa: ARG001
    """What hypercorn itself says in every head of this second: its date."""
    return [_line(name, value) for name, value in config.response_headers("h11")]
