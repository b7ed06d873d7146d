"""The beat on which subscriptions look for news: those that wait for the same stroke look in one command to Redis."""

import asyncio
import math
from datetime import timedelta
from typing import Final

BEAT_S: Final = 0.1


class Beat:
    """Strokes of the event loop's clock, each a timer for all who wait for it."""

    def __init__(self) -> None:
        self._strokes: dict[int, asyncio.Future[None]] = {}

    async def wait(self, interval: timedelta) -> None:
        """Until the first stroke after at least this time."""
        loop = asyncio.get_running_loop()
        stroke = math.ceil((loop.time() + interval.total_seconds()) / BEAT_S)
        if stroke not in self._strokes:
            self._strokes[stroke] = loop.create_future()
            loop.call_at(stroke * BEAT_S, self._strike, stroke)
        await asyncio.shield(self._strokes[stroke])

    def _strike(self, stroke: int) -> None:
        self._strokes.pop(stroke).set_result(None)
