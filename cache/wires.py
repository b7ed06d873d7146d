"""The connections of one process to Redis: few, kept open, lent out one command at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from cache.wire import Wire

TURNS: Final = 3
"""Of the event loop, in which it reads what has arrived and closes what has ended."""


class Wires:
    """At most so many at once; the one that was used last is used next, so that the others may be closed as idle."""

    def __init__(self, open_one: Callable[[], Awaitable[Wire]], most: int) -> None:
        self._open_one = open_one
        self._room = asyncio.Semaphore(most)
        self._free: list[Wire] = []
        self._lent: set[Wire] = set()

    async def lend_at_once(self) -> Wire | None:
        """One that needs no waiting for, if there is one now; it has to be given back."""
        if self._room.locked() or not self._free or not self._free[-1].is_quiet or not self._free[-1].is_open:
            return None
        await self._room.acquire()
        wire = self._free.pop()
        self._lent.add(wire)
        return wire

    async def lend(self) -> Wire:
        """One that is connected, as soon as there is one; it has to be given back."""
        await self._room.acquire()
        try:
            wire = await self._good() or await self._open_one()
        except BaseException:
            self._room.release()
            raise
        self._lent.add(wire)
        return wire

    def give_back(self, wire: Wire) -> None:
        """It is of no use to the borrower any more."""
        self._room.release()
        if wire not in self._lent:
            wire.close()
            return
        self._lent.remove(wire)
        if wire.is_open:
            self._free.append(wire)

    def renew(self) -> None:
        """Use none of the present ones again; what is under way may end."""
        self._lent.clear()
        while self._free:
            self._free.pop().close()

    def close(self) -> None:
        """Close all of them, also those under way."""
        for wire in self._lent:
            wire.close()
        self.renew()

    async def _good(self) -> Wire | None:
        while self._free:
            wire = self._free.pop()
            if not wire.is_quiet:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
            if wire.is_open:
                return wire
        return None
