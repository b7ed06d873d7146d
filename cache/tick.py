"""All reads that one turn of the event loop asks for leave as a single MGET, whichever request they belong to."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Final

from cache.server import Answer, CacheUnreachable, Server
from telemetry.recording import record_redis
from telemetry.round_trips import RoundTrip

MOST_NAMES: Final = 2_000
MOST_UNDER_WAY: Final = 4


class _Flight:
    """The names that wait for one MGET, each once."""

    def __init__(self, number: int, answer: asyncio.Future[Answer]) -> None:
        self.number = number
        self.answer = answer
        self.places: dict[str, int] = {}

    def add(self, names: Sequence[str]) -> list[int]:
        places = self.places
        return [places.setdefault(name, len(places)) for name in names]


class TickReader:
    """Joins reads to the MGET that has not been sent yet; never to one that is under way.

    While MOST_UNDER_WAY are, the next waits and takes more along: the busier Redis is, the larger the MGETs.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._numbers = count(1)
        self._boarding: _Flight | None = None
        self._waiting: deque[_Flight] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def read(self, names: Sequence[str]) -> Answer:
        """The values of `names`; raises CacheUnreachable."""
        flight = self._boarding
        if flight is None or len(flight.places) > MOST_NAMES:
            flight = self._new_flight()
        places = flight.add(names)
        record_redis(flight.number)
        with RoundTrip("MGET", flight.number):
            run_id, values = await asyncio.shield(flight.answer)
        return Answer(run_id, [values[place] for place in places])

    def _new_flight(self) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = self._boarding = _Flight(next(self._numbers), loop.create_future())
        # two turns: batches that were dispatched together start up to one turn apart
        loop.call_soon(loop.call_soon, self._ready, flight)
        return flight

    def _ready(self, flight: _Flight) -> None:
        self._waiting.append(flight)
        self._depart()

    def _depart(self) -> None:
        while self._waiting and len(self._under_way) < MOST_UNDER_WAY:
            flight = self._waiting.popleft()
            if self._boarding is flight:
                self._boarding = None
            task = asyncio.get_running_loop().create_task(self._send(flight))
            self._under_way.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._depart()

    async def _send(self, flight: _Flight) -> None:
        try:
            answer = await self._server.mget(list(flight.places))
        except BaseException as error:
            known = isinstance(error, CacheUnreachable)
            flight.answer.set_exception(error if known else CacheUnreachable(f"the MGET was given up: {error!r}"))
            flight.answer.exception()  # every reader may have been cancelled
            if not known:
                raise
        else:
            flight.answer.set_result(answer)
