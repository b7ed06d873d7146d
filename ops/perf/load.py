"""An open-loop load: every request has its time before the first one is sent, and its latency counts from that time.

A service that stalls is asked all the same, so what it would have kept waiting is seen (no coordinated omission).
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec
import orjson

from ops.perf.http_client import Client, Ending, Request
from ops.perf.operations import OPERATIONS, Draws
from ops.perf.target import Target

HEAD_START_S: Final = 0.2
AHEAD_S: Final = 0.5
"""How long before its time a request is written down: its bytes are ready when it is due."""


class Effort(msgspec.Struct, frozen=True):
    """How much is asked, and how."""

    rate: float
    duration_s: float
    mix: Mapping[str, float]
    connections: int = 200
    limit_s: float = 30.0
    zipf: float = 1.0
    seed: int = 1
    warm_up_s: float = 0.0


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One request of the measured time: when it was due, how long until its end, how late it was sent."""

    operation: str
    due_s: float
    latency_ms: float
    late_ms: float
    failure: str = ""
    refusal: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """Everything that was measured; clocks are this machine's."""

    samples: list[Sample]
    intended: int
    elapsed_s: float
    began_at: float
    ended_at: float
    connections: int
    client_cpu: float


class Progress(msgspec.Struct):
    """How far it is, for whoever shows it."""

    due_s: float = 0.0
    ended: int = 0
    failed: int = 0
    under_way: int = 0


def arrivals(effort: Effort) -> Iterator[tuple[float, str]]:
    """When and what, from the seed alone: gaps of a Poisson process, operations by their weights."""
    chance = random.Random(f"arrivals {effort.seed}")  # noqa: S311
    names, weights = list(effort.mix), list(effort.mix.values())
    at_s, total_s = 0.0, effort.warm_up_s + effort.duration_s
    while (at_s := at_s + chance.expovariate(effort.rate)) < total_s:
        yield at_s, chance.choices(names, weights)[0]


class OpenLoop:
    """One run."""

    def __init__(self, target: Target, effort: Effort) -> None:
        self._target, self._effort = target, effort
        self._draws = Draws(target.employees, target.departments, target.today, effort.zipf, effort.seed)
        self._names: dict[int, str] = {}
        self._samples: list[Sample] = []
        self._began_s = 0.0
        self.progress = Progress()

    async def run(self, tell: Callable[[Progress], None] = lambda _: None) -> Outcome:
        """Send everything at its time and wait for every ending."""
        effort, loop = self._effort, asyncio.get_running_loop()
        client = Client(self._target.address.place, self._ended, most=effort.connections, limit_s=effort.limit_s)
        self._began_s = loop.time() + HEAD_START_S + effort.warm_up_s
        began_at, cpu_s = time.time() + HEAD_START_S + effort.warm_up_s, time.process_time()
        telling = asyncio.create_task(self._tell(tell, client))
        try:
            intended = await self._send_all(client)
            while client.under_way:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            telling.cancel()
            client.close()
        elapsed_s = loop.time() - self._began_s
        used = (time.process_time() - cpu_s) / (elapsed_s + effort.warm_up_s + HEAD_START_S)
        return Outcome(self._samples, intended, elapsed_s, began_at, time.time(), client.opened, round(used, 3))

    async def _send_all(self, client: Client) -> int:
        """Each when it is due; those whose time has passed at once, without a pause between."""
        loop, intended = asyncio.get_running_loop(), 0
        first_s = self._began_s - self._effort.warm_up_s
        for number, (at_s, name) in enumerate(arrivals(self._effort)):
            due_s = first_s + at_s
            request = self._request(number, name, due_s)
            intended += due_s >= self._began_s
            while (wait_s := due_s - loop.time()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(wait_s)
            client.send(request)
            if number % 50 == 49:
                await asyncio.sleep(0)  # behind schedule nothing else would ever be heard
        return intended

    def _request(self, number: int, name: str, due_s: float) -> Request:
        self._names[number] = name
        document, variables = OPERATIONS[name].make(self._draws)
        return Request(number, self._target.payload(document, variables), due_s)

    def _ended(self, request: Request, ending: Ending) -> None:
        now_s, name = asyncio.get_running_loop().time(), self._names.pop(request.number)
        failure, refusal = judged(ending)
        self.progress.ended += 1
        self.progress.failed += bool(failure)
        if request.due_s < self._began_s:
            return
        self._samples.append(
            Sample(
                name,
                round(request.due_s - self._began_s, 6),
                round((now_s - request.due_s) * 1e3, 3),
                round(((request.sent_s or now_s) - request.due_s) * 1e3, 3),
                failure,
                refusal,
            )
        )

    async def _tell(self, tell: Callable[[Progress], None], client: Client) -> None:
        while True:
            self.progress.due_s = asyncio.get_running_loop().time() - self._began_s
            self.progress.under_way = client.under_way
            tell(self.progress)
            await asyncio.sleep(0.25)


def judged(ending: Ending) -> tuple[str, str]:
    """(why it failed, what a mutation was refused for); both empty for a good answer."""
    if ending.failure:
        return ending.failure, ""
    body = ending.body
    if ending.status == 200 and body.startswith(b'{"data":{') and b'"errors":[' not in body:
        return ("", _refusal(body)) if b'"userErrors":[{' in body else ("", "")
    return _failure(ending), ""


def _failure(ending: Ending) -> str:
    try:
        [error, *_] = orjson.loads(ending.body)["errors"]
        return f"{error['extensions']['code']} ({ending.status})"
    except (ValueError, KeyError, TypeError):
        return f"HTTP {ending.status}"


def _refusal(body: bytes) -> str:
    [payload] = orjson.loads(body)["data"].values()
    return str(payload["userErrors"][0].get("code", "refused"))
