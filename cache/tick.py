"""All reads that one turn of the event loop asks for leave as a single command, whichever request they belong to."""

import asyncio
import secrets
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import Final

from cache.server import Answer, CacheUnreachable, Server
from telemetry.recording import record_redis
from telemetry.round_trips import RoundTrip

MOST_NAMES: Final = 2_000
MOST_UNDER_WAY: Final = 4
STAMP_LIFE: Final = timedelta(hours=24)
STAMP_LIFE_MS: Final = round(STAMP_LIFE.total_seconds() * 1000)


class _Flight:
    """The names that wait for one MGET, each once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.names: dict[str, None] = {}
        self._stamps: dict[str, None] = {}
        self._lists: dict[int, Sequence[str]] = {}
        self._answers: dict[int, Answer] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._run_id = ""
        self._values: dict[str, bytes | None] = {}

    def board(self, names: Sequence[str], stamps: Sequence[str]) -> "asyncio.Future[None]":
        """Done when it has landed; for each reader a future of its own: one who gives up takes nobody along.

        A list that is aboard already, as what a kept answer rests on often is, is not gone through again.
        """
        if id(names) not in self._lists:
            self._lists[id(names)] = names
            self.names.update(dict.fromkeys(names))
            self._stamps.update(dict.fromkeys(stamps))
        own: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(own)
        return own

    async def sent(self, server: Server, fence: str, of_process: str) -> Answer:
        """Ask for the names; stamps that somebody must not find missing are made in the same step."""
        if not self._stamps:
            return await server.mget(list(self.names))
        self.names = dict.fromkeys([fence, *self._stamps, *self.names])
        arguments = [len(self._stamps), f"r{of_process}.{self.number}-", STAMP_LIFE_MS]
        return await server.script("look", list(self.names), arguments)

    def land(self, outcome: Answer | CacheUnreachable) -> None:
        """Tell everybody who still waits."""
        if isinstance(outcome, Answer):
            self._run_id = outcome.run_id
            self._values = dict(zip(self.names, outcome.value, strict=True))
        for own in self._waiting:
            if own.done():
                continue
            if isinstance(outcome, CacheUnreachable):
                own.set_exception(outcome)
            else:
                own.set_result(None)

    def answer(self, names: Sequence[str]) -> Answer:
        """What was found under a list of names that was aboard."""
        found = self._answers.get(id(names))
        if found is None:
            values = list(map(self._values.__getitem__, names))
            found = self._answers[id(names)] = Answer(self._run_id, values)
        return found


class TickReader:
    """Joins reads to the MGET that has not been sent yet; never to one that is under way.

    While MOST_UNDER_WAY are, the next waits and takes more along: the busier Redis is, the larger the MGETs.
    """

    def __init__(self, server: Server, fence: str) -> None:
        self._server = server
        self._fence = fence
        self._of_process = secrets.token_hex(8)
        self._numbers = count(1)
        self._boarding: _Flight | None = None
        self._waiting: deque[_Flight] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def read(self, names: Sequence[str], stamps: Sequence[str] = ()) -> Answer:
        """The values of `names`; raises CacheUnreachable.

        `stamps` are those of the names that are made in the same step where they are missing, while there is a fence.
        """
        flight = self._boarding
        if flight is None or len(flight.names) > MOST_NAMES:
            flight = self._new_flight()
        landing = flight.board(names, stamps)
        record_redis(flight.number)
        with RoundTrip("look" if stamps else "MGET", flight.number):
            await landing
        return flight.answer(names)

    def _new_flight(self) -> _Flight:
        flight = self._boarding = _Flight(next(self._numbers))
        # it leaves in the second turn from now: batches that were dispatched together start up to one turn apart
        asyncio.get_running_loop().call_soon(self._ready, flight)
        return flight

    def _ready(self, flight: _Flight) -> None:
        self._waiting.append(flight)
        self._depart()

    def _depart(self) -> None:
        while self._waiting and len(self._under_way) < MOST_UNDER_WAY:
            task = asyncio.get_running_loop().create_task(self._send(self._waiting.popleft()))
            self._under_way.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._depart()

    async def _send(self, flight: _Flight) -> None:
        if self._boarding is flight:
            self._boarding = None
        try:
            answer = await flight.sent(self._server, self._fence, self._of_process)
        except BaseException as error:
            known = error if isinstance(error, CacheUnreachable) else None
            flight.land(known or CacheUnreachable(f"the MGET was given up: {error!r}"))
            if not known:
                raise
        else:
            flight.land(answer)
