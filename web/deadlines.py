"""When a request has to be over: one timer of the event loop for all, where asyncio.timeout has one for each."""

import asyncio
from datetime import timedelta
from types import TracebackType
from typing import Any, Self


class Deadlines:
    """Of requests that all get the same time, so that those who began first are over first."""

    def __init__(self, limit: timedelta) -> None:
        self.limit_s = limit.total_seconds()
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> "Deadline":
        """The deadline of a request that begins now."""
        loop = asyncio.get_running_loop()
        found = Deadline(loop.time() + self.limit_s, self._running)
        if self._timer is None:
            self._timer = loop.call_at(found.at_s, self._look)
        return found

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now_s, self._timer = loop.time(), None
        for deadline in list(self._running):
            if deadline.at_s > now_s:
                self._timer = loop.call_at(deadline.at_s, self._look)
                return
            deadline.bring_forward()


class Deadline:
    """As a context: what the task does within it is cancelled at `at_s`, and TimeoutError comes out."""

    __slots__ = ("_cancelling", "_running", "_task", "at_s", "is_over")

    def __init__(self, at_s: float, running: "dict[Deadline, None]") -> None:
        self.at_s = at_s
        self.is_over = False
        self._running = running

    def __enter__(self) -> Self:
        task: asyncio.Task[Any] | None = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._running[self] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._running.pop(self, None)
        # as asyncio.timeout: when somebody else has cancelled the task as well, that comes out
        if self.is_over and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def spent_ms(self, of: Deadlines) -> float:
        """How much of its time is over."""
        return round((asyncio.get_running_loop().time() - self.at_s + of.limit_s) * 1e3, 2)

    def lift(self) -> None:
        """Let it take as long as it takes."""
        self._running.pop(self, None)

    def bring_forward(self) -> None:
        """The time is over now."""
        if self in self._running:
            del self._running[self]
            self.is_over = True
            self._task.cancel()
