"""The clock of the running event loop in the hands of a test: it stands, until the test or idling moves it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LoopTime:
    """`passed_s` is how far it has moved."""

    passed_s = 0.0

    def forward(self, seconds: float) -> None:
        """As if the loop had been busy for so long."""
        self.passed_s += seconds


@contextmanager
def standing_loop_time(*, idling_moves_it: bool = False) -> Iterator[LoopTime]:
    """The loop's clock stands; where idling moves it, a loop with nothing to do is at its next timer at once.

    The latter only where whatever else is waited for never comes: what is on its way would come too late.
    """
    loop: Any = asyncio.get_running_loop()
    found, from_s, select = LoopTime(), loop.time(), loop._selector.select

    def select_or_skip(timeout: float | None) -> Any:
        if not idling_moves_it or timeout is None:
            return select(timeout)
        events = select(0)
        if not events:
            found.forward(max(0.0, timeout))
        return events

    loop.time = lambda: from_s + found.passed_s
    loop._selector.select = select_or_skip
    try:
        yield found
    finally:
        del loop.time, loop._selector.select
