"""All reads that one turn of the event loop asks for leave as a single MGET, whichever request they belong to."""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Final

from cache.server import CacheUnreachable, Server
from telemetry.recording import record_redis

MOST_NAMES: Final = 2_000


class _Flight:
    """The names that wait for one MGET, each once."""

    def __init__(self, number: int, answer: asyncio.Future[list[bytes | None]]) -> None:
        self.number = number
        self.answer = answer
        self.places: dict[str, int] = {}

    def add(self, names: Sequence[str]) -> list[int]:
        places = self.places
        return [places.setdefault(name, len(places)) for name in names]


class TickReader:
    """Joins reads to the MGET that has not been sent yet; never to one that is under way."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._numbers = count(1)
        self._boarding: _Flight | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def read(self, names: Sequence[str]) -> list[bytes | None]:
        """The values of `names`; raises CacheUnreachable."""
        flight = self._boarding
        if flight is None or len(flight.places) > MOST_NAMES:
            flight = self._new_flight()
        places = flight.add(names)
        record_redis(flight.number)
        values = await asyncio.shield(flight.answer)
        return [values[place] for place in places]

    def _new_flight(self) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = self._boarding = _Flight(next(self._numbers), loop.create_future())
        # two turns: batches that were dispatched together start up to one turn apart
        loop.call_soon(loop.call_soon, self._depart, flight)
        return flight

    def _depart(self, flight: _Flight) -> None:
        if self._boarding is flight:
            self._boarding = None
        task = asyncio.get_running_loop().create_task(self._send(flight))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, flight: _Flight) -> None:
        try:
            values = await self._server.mget(list(flight.places))
        except CacheUnreachable as error:
            flight.answer.set_exception(error)
            flight.answer.exception()  # every reader may have been cancelled
        except BaseException:
            flight.answer.cancel()
            raise
        else:
            if not flight.answer.done():
                flight.answer.set_result(values)
