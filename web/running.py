"""Work that goes on beside what is served, and ends with it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do the work while the context is open."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        while not task.done():
            task.cancel()  # again: wait_for of Python 3.11 loses a cancellation that arrives with an answer
            await asyncio.wait({task}, timeout=0.2)
