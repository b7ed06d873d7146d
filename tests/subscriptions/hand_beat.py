"""A beat struck by hand."""

import asyncio
from datetime import timedelta

from web.beat import Beat


class HandBeat(Beat):
    """Subscriptions wait until the test lets them look; `intervals` are what they waited for, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.intervals: list[timedelta] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._changed = asyncio.Event()

    async def wait(self, interval: timedelta) -> None:
        """Until the next stroke."""
        own: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.intervals.append(interval)
        self._waiting.append(own)
        self._changed.set()
        try:
            await own
        finally:
            if own in self._waiting:
                self._waiting.remove(own)
                self._changed.set()

    async def all_wait(self, number: int = 1) -> None:
        """Until so many subscriptions have nothing else to do."""
        async with asyncio.timeout(30):
            while len(self._waiting) != number:
                self._changed.clear()
                await self._changed.wait()

    async def strike(self, left: int = 1) -> None:
        """Let all that wait look once, and wait until those that are left have done what follows."""
        waiting, self._waiting = self._waiting, []
        for own in waiting:
            own.set_result(None)
        await self.all_wait(left)
