"""`python -m tests.responses.measure_hits`: processor time of a hit beside answering the same bytes from memory.

In this process, without hypercorn: the application is called as ASGI calls it. "alone" is one request after another,
each with its own look at Redis; "together" is 50 at once, which share one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
import structlog

from tests.kit.clock import Clock
from tests.kit.databases import leased_databases
from tests.kit.small_company import HR, NOW, fill_small_company
from tests.responses.questions import QUESTIONS
from tests.responses.service import Service, open_service

REQUESTS: Final = 2_000
AT_ONCE: Final = 50
Ask = Callable[[], Awaitable[None]]


async def measure(url: str, redis_url: str) -> None:
    """Print one line a question."""
    async with open_service(url, redis_url, Clock(NOW)) as service:
        for name in ("departments", "people", "grid"):
            body = (await service.ask(QUESTIONS[name], HR)).body
            hit, memory = await _hit(service, QUESTIONS[name]), _memory(body)
            alone, bare = await _us(hit, 1), await _us(memory, 1)
            together, bare_together = await _us(hit, AT_ONCE), await _us(memory, AT_ONCE)
            print(
                f"{name}, {len(body)} bytes: alone {alone:.0f} us, {alone / bare:.0f} times {bare:.1f} us from memory;"
                f" together {together:.0f} us, {together / bare_together:.0f} times {bare_together:.1f} us"
            )


async def _hit(service: Service, query: str) -> Ask:
    """A POST that is answered from the response cache."""
    raw = orjson.dumps({"query": query})
    lines = {
        "host": "localhost",
        "content-type": "application/json",
        "accept": "application/graphql-response+json",
        "authorization": f"Bearer {await service.token(HR)}",
    }
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "client": ("203.0.113.7", 50000),
        "server": ("localhost", 3002),
        "http_version": "1.1",
    }
    for_ever = asyncio.Event()

    async def ask() -> None:
        sent: list[Any] = []
        received = False

        async def receive() -> dict[str, Any]:
            nonlocal received
            if received:
                await for_ever.wait()
            received = True
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await service.app(dict(scope), receive, send)
        assert (b"cache-status", b"rollcall; hit") in sent[0]["headers"], sent

    return ask


def _memory(body: bytes) -> Ask:
    """An application that reads the request and answers the bytes, with one header."""

    async def ask() -> None:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        async def app(_: Any, receive: Any, send: Any) -> None:
            await receive()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
            )
            await send({"type": "http.response.body", "body": body})

        await app({}, receive, send)

    return ask


async def _us(ask: Ask, at_once: int) -> float:
    """Processor time of one request in microseconds."""
    for _ in range(20):
        await ask()
    started = time.process_time()
    for _ in range(REQUESTS // at_once):
        if at_once == 1:
            await ask()
        else:
            await asyncio.gather(*(ask() for _ in range(at_once)))
    return (time.process_time() - started) / REQUESTS * 1e6


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with leased_databases() as databases:
        address = databases.new("small_company", fill_small_company)
        asyncio.run(measure(address, databases.redis_url))
