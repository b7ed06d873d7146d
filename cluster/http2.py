"""HTTP/2 connections that begin as they should and end in good order.

hypercorn closes the state of a connection together with its GOAWAY, which cuts the streams that are open on it: when it
shuts down, and after keep_alive_max_requests. Here GOAWAY comes first, and every stream that still arrives is answered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

import hypercorn.protocol
from hypercorn.events import RawData
from hypercorn.protocol.h2 import H2Protocol
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hyperframe.frame import GoAwayFrame

from cluster.plain_sockets import PlainWebSocket
from cluster.whole_answers import WholeH11Protocol, WholeStream

LAST_STREAM: Final = 2**31 - 1
"""Named in the GOAWAY: whatever the client has sent by then will be answered (RFC 9113, 6.8)."""


class PoliteH2Protocol(H2Protocol):
    """hypercorn's HTTP/2, which says GOAWAY without closing."""

    open: Final["WeakSet[PoliteH2Protocol]"] = WeakSet()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._said_goaway = False
        self._requests = 0
        super().__init__(*arguments, **options)
        self.open.add(self)

    @property
    def keep_alive_requests(self) -> int:
        """Always 0 for hypercorn, whose way to end a connection is switched off by that."""
        return 0

    @keep_alive_requests.setter
    def keep_alive_requests(self, value: int) -> None:
        self._requests += value

    async def stream_send(self, event: Any) -> None:
        """Answer as before; past its number of requests the client is told to connect anew."""
        await super().stream_send(event)
        if self._requests > self.config.keep_alive_max_requests:
            await self.say_goaway()

    async def say_goaway(self) -> None:
        """Tell the client to open no more streams here."""
        if not self._said_goaway and not self.closed:
            self._said_goaway = True
            await self.send(RawData(GoAwayFrame(0, last_stream_id=LAST_STREAM).serialize()))


class SteadyH11Protocol(WholeH11Protocol):
    """hypercorn's HTTP/1.1, which becomes HTTP/2 for a client that begins with it and for no Upgrade: h2c.

    A proxy that passes such a header on would be a tunnel from then on: past its limits, and with our trust in it.
    """

    async def _check_protocol(self, event: Any) -> None:
        if event.method == b"PRI" and "h2" in self.config.alpn_protocols:
            await super()._check_protocol(event)


@contextmanager
def polite_http2() -> Iterator[None]:
    """Within it hypercorn serves HTTP/2, whole answers and WebSockets in our way."""
    module: Any = hypercorn.protocol
    http11: Any = hypercorn.protocol.h11
    http2: Any = hypercorn.protocol.h2
    module.H11Protocol, module.H2Protocol = SteadyH11Protocol, PoliteH2Protocol
    http11.HTTPStream = WholeStream
    http11.WSStream = http2.WSStream = PlainWebSocket
    try:
        yield
    finally:
        http11.WSStream = http2.WSStream = WSStream
        module.H11Protocol, module.H2Protocol = H11Protocol, H2Protocol
        http11.HTTPStream = HTTPStream


async def tell_everyone_to_go() -> None:
    """Say GOAWAY on every connection."""
    for connection in list(PoliteH2Protocol.open):
        await connection.say_goaway()
