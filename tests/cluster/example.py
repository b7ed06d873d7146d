"""A trivial application for the tests of the cluster: it answers, waits, blocks, fails or talks on a WebSocket."""

import asyncio
import gc
import json
import os
import sys
import time
from typing import Any
from urllib.parse import parse_qs

from telemetry.counters import count
from telemetry.requests import observe_statement, operations

if os.environ.get("EXAMPLE_FAILS_AT") == "import":
    raise ImportError("no module named nothing")


_held: list[bytes] = []


async def app(scope: Any, receive: Any, send: Any) -> None:
    """ASGI entry point."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    else:
        await _answer(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    match os.environ.get("EXAMPLE_FAILS_AT"):
        case "lifespan":
            raise RuntimeError("PostgreSQL cannot be reached")
        case "start":
            os._exit(3)
    if (file := os.environ.get("EXAMPLE_BROKEN_IF")) and os.path.exists(file):
        await send(
            {"type": "lifespan.startup.failed", "message": "Traceback ...\n\nRuntimeError: the new code is broken\n"}
        )
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _echo(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        if text := message.get("text"):
            await send({"type": "websocket.send", "text": text})


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
    if "begun" in query:
        with open(query["begun"], "a") as told:
            told.write(".")
    if "block_s" in query:
        time.sleep(float(query["block_s"]))
    while "until" in query and not os.path.exists(query["until"]):
        await asyncio.sleep(0.01)
    await asyncio.sleep(seconds := float(query.get("sleep_s", 0)))
    operations.add("query Example", seconds)
    count("cache_hits", "example", 3)
    count("cache_misses", "example")
    count("cache_fills", "example")
    for name, label in (("answer_hits", "HR"), ("writes", "held"), ("cache_verified", "same")):
        count(name, label)
    if "hold_mb" in query:
        _held.append(b"x" * (int(query["hold_mb"]) << 20))
    if "slow_ms" in query:
        observe_statement("example_slow", float(query["slow_ms"]) / 1e3)
    body = json.dumps(_facts()).encode() if "facts" in query else f"{os.getpid()}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


def _facts() -> dict[str, object]:
    preloaded = sys.modules.get("tests.cluster.preloaded")
    return {
        "loop": type(asyncio.get_running_loop()).__module__,
        "collector": [*gc.get_threshold(), gc.get_freeze_count() > 10_000],
        "prepared": os.environ.get("EXAMPLE_PREPARED"),
        "imported_early": preloaded is not None and preloaded.IMPORTED_EARLY,
    }
