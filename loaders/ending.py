"""Work that is finished even when whoever waits for it is cancelled."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`; a cancellation is passed on when it has ended.

    What is cancelled between a hold and its release would keep the tag out of the cache until the drain comes, and a
    statement that is cancelled costs its connection.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
