"""Orders tasks exactly: a task stops at named points until the test lets it go on. No sleeps."""

import asyncio
from collections import defaultdict
from datetime import timedelta

LIMIT = timedelta(seconds=40)


class Sequencer:
    """`await order.stop("read")` in a task; `await order.until("read")`, `order.go("read")` in the test."""

    def __init__(self) -> None:
        self._reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._free: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def stop(self, point: str) -> None:
        """Wait here until `go`."""
        self._reached[point].set()
        await within(self._free[point].wait())

    async def until(self, point: str) -> None:
        """Wait until a task has stopped at the point."""
        await within(self._reached[point].wait())

    def go(self, point: str) -> None:
        """Let whoever stops at the point, now or later, go on."""
        self._free[point].set()


async def within(waiting: "asyncio.Future[object] | object", limit: timedelta = LIMIT) -> None:
    """Wait for something that has to happen; a test that would hang fails instead."""
    async with asyncio.timeout(limit.total_seconds()):
        await waiting  # type: ignore[misc]
