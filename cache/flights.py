"""Work of this process that several wait for: one begins it, all get its outcome, and it ends when nobody waits."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable
from contextvars import Context
from typing import Any, Final, Generic, NamedTuple, TypeVar

R = TypeVar("R")
Work = Callable[[], Awaitable[tuple[R, bool]]]
"""Gives something, and whether others may have it as well."""

STORED_AFTER_S: Final = 0.05
"""What was loaded leaves for Redis within 20 ms: who had asked Redis before it arrived there may still have it.

It is forgotten when something else is asked for later than that: a timer of each would wake the process.
"""


class Flight(Generic[R]):
    """Something under way."""

    def __init__(self, flights: "Flights", names: Iterable[Hashable], task: asyncio.Task[R]) -> None:
        self._flights = flights
        self._names = tuple(names)
        self._task = task
        self._waiting = 0
        task.add_done_callback(self._ended)

    async def outcome(self) -> R:
        """What comes of it. One who gives up takes nobody along; the last one ends the work."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._flights.forget(self, self._names)
                self._task.cancel()

    def _ended(self, task: asyncio.Task[R]) -> None:
        self._flights.forget(self, self._names)
        if not task.cancelled():
            task.exception()  # whoever waited was told; nobody may have


class Flights:
    """What is under way, by name; a failure is told to those who wait, and not remembered."""

    def __init__(self) -> None:
        self._by_name: dict[Hashable, Flight[Any]] = {}

    def get(self, name: Hashable) -> Flight[Any] | None:
        """What is under way under a name."""
        return self._by_name.get(name)

    def begin(
        self, names: Iterable[Hashable], work: Coroutine[Any, Any, R], context: Context | None = None
    ) -> Flight[R]:
        """Begin something, for the request whose context is the present one unless another is given.

        Whoever asks for one of the names from now on may wait for it.
        """
        found = Flight(self, names, asyncio.get_running_loop().create_task(work, context=context))
        self._by_name.update(dict.fromkeys(names, found))
        return found

    def forget(self, flight: Flight[Any], names: Iterable[Hashable]) -> None:
        """Let nobody join it any more."""
        for name in names:
            if self._by_name.get(name) is flight:
                del self._by_name[name]


class Alike:
    """Work too small for a task of its own: the first does it within its own request, the others wait for that."""

    def __init__(self) -> None:
        self._begun: dict[Hashable, _Begun] = {}
        self._done: deque[tuple[float, Hashable, _Begun]] = deque()
        """What others may still have, and until when."""

    async def outcome(
        self, name: Hashable, rests_on: object, work: Work[R], waits: Callable[[], None]
    ) -> tuple[R, bool, bool]:
        """What comes of it, whether others may have it, and whether it was done here; `waits` is told if not.

        What comes of it is right for whoever has just seen the same that it `rests_on`. When the one who is at it gives
        up, or gets what is for itself alone, another one does it.
        """
        loop = asyncio.get_running_loop()
        while self._done and self._done[0][0] < loop.time():
            self._forget(*self._done.popleft()[1:])
        while (begun := self._begun.get(name)) is not None and begun.rests_on == rests_on:
            waits()
            outcome: tuple[R] | None = await asyncio.shield(begun.told)
            if outcome is not None:
                return outcome[0], True, False
        own = self._begun[name] = _Begun(rests_on, loop.create_future())
        told: tuple[R] | None = None
        try:
            found, is_for_all = await work()
            told = (found,) if is_for_all else None
        except Exception as error:
            own.told.set_exception(error)
            own.told.exception()  # nobody may be waiting
            raise
        finally:
            if not own.told.done():
                own.told.set_result(told)
            if told is None:
                self._forget(name, own)
            else:
                self._done.append((loop.time() + STORED_AFTER_S, name, own))
        return found, is_for_all, True

    def _forget(self, name: Hashable, begun: "_Begun") -> None:
        if self._begun.get(name) is begun:
            del self._begun[name]


class _Begun(NamedTuple):
    rests_on: object
    told: "asyncio.Future[Any]"
