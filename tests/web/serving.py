"""Serves an application with a real hypercorn on a free loopback port, within the test's own event loop."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette


@asynccontextmanager
async def served(app: Starlette, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """The port on which the application answers until the block ends."""
    listener = socket.create_server((address, 0))  # listens already, so nobody has to wait for hypercorn
    port = int(listener.getsockname()[1])
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.errorlog = logging.getLogger("hypercorn.error")
    config.loglevel = "WARNING"
    config.graceful_timeout = 1.0
    done = asyncio.Event()
    serving = asyncio.create_task(
        serve(app, config, shutdown_trigger=done.wait, mode="asgi")  # type: ignore[arg-type]
    )
    try:
        yield port
    finally:
        done.set()
        await serving
