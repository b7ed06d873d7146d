"""How long a server may be silent: what our own event loop overslept is not held against it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

STEPS: Final = 4
MOST_LATE: Final = 12
"""Steps that need not count, so that an event loop which is always late still has an end of waiting."""


class Patience:
    """Calls `give_up` after `limit_s` of silence, unless it is ended before.

    It is waited for in steps. One after which the event loop came late does not count: an answer may have been lying
    there all the while. After the last one the loop takes another turn, in which what has arrived is read first.
    """

    __slots__ = ("_give_up", "_handle", "_late", "_left", "_loop", "_step_s")

    def __init__(self, limit_s: float, give_up: Callable[[], None]) -> None:
        self._step_s = limit_s / STEPS
        self._left = STEPS
        self._late = 0
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(self._step_s, self._step)

    def end(self) -> None:
        """The server has said something, or nobody waits for it any more."""
        self._handle.cancel()

    def _step(self) -> None:
        if self._loop.time() - self._handle.when() > self._step_s / 2 and self._late < MOST_LATE:
            self._late += 1
        else:
            self._left -= 1
        rest = (self._step_s, self._step) if self._left else (0.0, self._give_up)
        self._handle = self._loop.call_later(*rest)


@asynccontextmanager
async def patient(limit_s: float) -> AsyncIterator[None]:
    """TimeoutError after `limit_s` of silence, whatever is waited for."""
    async with asyncio.timeout(None) as timeout:
        patience = Patience(limit_s, lambda: timeout.reschedule(asyncio.get_running_loop().time()))
        try:
            yield
        finally:
            patience.end()
