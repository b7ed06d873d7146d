"""A worker that leaves ends what it serves, so that clients go to another one; it does not wait for them to finish."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from cluster.child import Command
from cluster.drain import Drain
from cluster.worker import serve_until_drained
from tests.kit.sequencer import within
from tests.kit.small_company import HR
from tests.responses.service import Service
from tests.subscriptions.clients import Closed, Socket, Stream, connected, streaming
from tests.subscriptions.hand_beat import HandBeat
from tests.web.asgi import settings_with

IN_NOW = "subscription { todayChanged { inNow } }"


@asynccontextmanager
async def worker(service: Service) -> AsyncIterator[tuple[int, Drain, asyncio.Task[None]]]:
    """A worker as the supervisor has them: its port, its drain, and its life."""
    settings = settings_with()
    drain = Drain(timedelta(hours=1))
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    application: Any = service.app
    life = asyncio.create_task(serve_until_drained(application, os.dup(listener.fileno()), settings, drain))
    try:
        yield port, drain, life
    finally:
        drain.begin(Command.STOP)
        await life
        listener.close()


async def _told_by_socket(talk: Socket) -> None:
    with pytest.raises(Closed) as closed:
        await talk.hear()
    assert closed.value.code == 1001


async def _told_by_stream(stream: Stream) -> None:
    """Without `complete`, and in the middle of the answer: urql takes an end for `complete`, and this for a fault."""
    with pytest.raises(asyncio.IncompleteReadError):
        await stream.event()


@pytest.mark.parametrize("command", [Command.LEAVE, Command.STOP])
async def test_both_kinds_are_told_to_go_at_once(service: Service, command: Command) -> None:
    beat = service.live.beat = HandBeat()
    token = await service.token(HR)
    async with worker(service) as (port, drain, life):
        async with connected(port) as talk, streaming(port, IN_NOW, token) as stream:
            await talk.sign_in(token)
            talk.subscribe(IN_NOW)
            assert await talk.next() == {"todayChanged": {"inNow": 3}}
            await stream.event()
            await beat.all_wait(2)
            drain.begin(command)
            told: list[Awaitable[None]] = [_told_by_socket(talk), _told_by_stream(stream)]
            await asyncio.gather(*told)
            await within(life)  # the limit of the drain is an hour
        assert (service.live.open, beat.intervals) == (0, beat.intervals[:2])


async def test_a_client_that_takes_nothing_does_not_hold_a_worker_up(service: Service) -> None:
    """It is still being sent to when the worker is told to go."""
    beat = service.live.beat = HandBeat()
    token = await service.token(HR)
    started, never = asyncio.Event(), asyncio.Event()
    application = service.app

    async def stuck(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def send_or_wait(message: Any) -> None:
            if b"event: next" in message.get("body", b""):
                started.set()
                await never.wait()
            await send(message)

        await application(scope, receive, send_or_wait if scope["type"] == "http" else send)

    service.app = stuck  # type: ignore[assignment]
    async with worker(service) as (port, drain, life):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"query":"subscription { todayChanged { inNow } }"}'
        head = f"Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
        writer.write(
            f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n".encode() + body
        )
        await started.wait()
        drain.begin(Command.LEAVE)
        await within(life)
        writer.close()
    assert (service.live.open, beat.intervals) == (0, [])


async def test_a_message_past_the_limit_is_not_even_gathered(service: Service) -> None:
    async with worker(service) as (port, _, _), connected(port) as talk:
        talk.say_text("x" * 1_000_001)
        with pytest.raises(Closed, match="1009"):
            await talk.hear()


async def test_nothing_is_compressed(service: Service) -> None:
    """64 kB would become 64 MB before anybody looks at their size."""
    async with worker(service) as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"extensions" not in head.lower()
        writer.close()
