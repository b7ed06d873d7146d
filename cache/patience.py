"""How long a server may be silent: what our own event loop overslept is not held against it."""

import asyncio
from types import TracebackType
from typing import Final

STEPS: Final = 4
MOST_LATE: Final = 12
"""Steps that need not count, so that an event loop which is always late still has an end of waiting."""


class Patience:
    """`async with`: TimeoutError after `limit_s` of silence.

    It is waited for in steps. One after which the event loop came late does not count: an answer may have been lying
    there all the while. After the last one the loop takes another turn, in which what has arrived is read first.
    """

    __slots__ = ("_handle", "_late", "_left", "_step_s", "_timeout")

    def __init__(self, limit_s: float) -> None:
        self._step_s = limit_s / STEPS
        self._left = STEPS
        self._late = 0
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()
        self._wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._handle = loop.call_later(self._step_s, self._step, loop.time() + self._step_s)

    def _step(self, due_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - due_s > self._step_s / 2 and self._late < MOST_LATE:
            self._late += 1
        else:
            self._left -= 1
        if self._left:
            self._wait()
        else:
            self._timeout.reschedule(now_s)
