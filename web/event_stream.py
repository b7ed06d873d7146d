"""The events of a subscription as a stream over HTTP: graphql-sse, "distinct connections mode".

Lines end with LF: urql, which splits at empty lines, knows no CRLF. A stream that ends without `complete`, as when its
worker leaves, is for the client to open again. urql takes an end for `complete`, and what breaks off for a fault of the
network.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from starlette.types import Receive, Scope, Send

from web.answers import Answer
from web.live import Event, Subscription
from web.negotiation import EVENT_STREAM
from web.responses import LEAVING, header_lines

HEADERS: Final = header_lines(
    {
        "Content-Type": f"{EVENT_STREAM}; charset=utf-8",
        "Cache-Control": "no-store",
        "Vary": "Accept",
        "X-Accel-Buffering": "no",  # nginx would keep events back until it has 4 kB of them
    }
)
COMPLETE: Final = b"event: complete\ndata: \n\n"
ALIVE: Final = b":\n\n"
SILENCE: Final = timedelta(seconds=15)
"""Shorter than any proxy waits for a next byte."""
SLOWEST: Final = timedelta(seconds=30)
"""A client that takes nothing for so long is given up."""


async def send_events(events: Subscription, first: Answer, scope: Scope, receive: Receive, send: Send) -> None:
    """Send events until the last one, until the client leaves, or until the worker does."""
    leaving: asyncio.Event = scope.get(LEAVING) or asyncio.Event()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    sending = asyncio.create_task(_send_all(events, first, send))
    gone = asyncio.create_task(_until_gone(receive))
    told = asyncio.create_task(leaving.wait())
    try:
        await asyncio.wait({sending, gone, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, gone, told):
            task.cancel()
        await asyncio.wait({sending, gone, told})
    if not gone.cancelled() or (not told.cancelled() and scope["http_version"].startswith("1")):
        return  # hypercorn then closes the connection in the middle of the answer; an HTTP/2 stream it would leave open
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await send({"type": "http.response.body", "body": b""})
    with suppress(TimeoutError, asyncio.CancelledError):
        sending.result()


async def _send_all(events: Subscription, first: Answer, send: Send) -> None:
    await _send_part(send, _told(first))
    while True:
        event = await _next(events, send)
        await _send_part(send, _told(event.answer) + (COMPLETE if event.is_last else b""))
        if event.is_last:
            return


async def _next(events: Subscription, send: Send) -> Event:
    """The next event; meanwhile whoever lies between is shown that the connection lives."""
    coming = asyncio.create_task(events.next())
    try:
        while not (await asyncio.wait({coming}, timeout=SILENCE.total_seconds()))[0]:
            await _send_part(send, ALIVE)
        return coming.result()
    finally:
        coming.cancel()


async def _send_part(send: Send, part: bytes) -> None:
    async with asyncio.timeout(SLOWEST.total_seconds()):
        await send({"type": "http.response.body", "body": part, "more_body": True})


def _told(answer: Answer) -> bytes:
    return b"event: next\ndata: " + answer.body + b"\n\n"  # JSON of one line


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
