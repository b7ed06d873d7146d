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

    def __init__(self, number: int) -> None:
        self.number = number
        self.places: dict[str, int] = {}
        self._waiting: list[asyncio.Future[Answer]] = []

    async def landing(self) -> Answer:
        """The answer; each reader waits for a future of its own, so that one who gives up takes nobody along."""
        own: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(own)
        return await own

    def land(self, outcome: Answer | CacheUnreachable) -> None:
        """Tell everybody who still waits."""
        for own in self._waiting:
            if own.done():
                continue
            if isinstance(outcome, CacheUnreachable):
                own.set_exception(outcome)
            else:
                own.set_result(outcome)

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
            run_id, values = await flight.landing()
        return Answer(run_id, [values[place] for place in places])

    def _new_flight(self) -> _Flight:
        loop = asyncio.get_running_loop()
        flight = self._boarding = _Flight(next(self._numbers))
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
            known = error if isinstance(error, CacheUnreachable) else None
            flight.land(known or CacheUnreachable(f"the MGET was given up: {error!r}"))
            if not known:
                raise
        else:
            flight.land(answer)
