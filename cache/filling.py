"""Storing what was read: what all lookups of some milliseconds have loaded leaves together, off the reply path.

Also the entries are made only then, one after the other: code that has just run costs half of what it costs in between.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from cache.leases import Lease
from cache.server import CacheUnreachable, Server
from telemetry.counters import count

JITTER: Final = 0.1
SHORTEST_COST: Final = timedelta(milliseconds=100)  # what is asked for once in a while should be met as well
LONGEST_WAIT: Final = timedelta(milliseconds=20)
MOST_VALUES: Final = 1_000
"""That wait; more leave at once."""

Later = Callable[[Coroutine[Any, Any, None]], None]
"""Begins something that nobody waits for."""


class Load:
    """What leaves together: entries with their lives, marks of their youth, and leases to give back."""

    def __init__(self) -> None:
        self.entries: dict[str, tuple[int, bytes]] = {}
        self.marks_ms: dict[str, int] = {}
        self.token_by_lease: dict[str, str] = {}
        self.numbers: Counter[str] = Counter()
        """Of the entries, by namespace."""

    def command(self) -> tuple[list[str], list[Any]]:
        """Keys and arguments of the script `fill`."""
        stored = [part for entry in self.entries.values() for part in entry]
        keys = [*self.entries, *self.marks_ms, *self.token_by_lease]
        numbers = len(self.entries), len(self.marks_ms)
        return keys, [*numbers, *stored, *self.marks_ms.values(), *self.token_by_lease.values()]


class Filling:
    """What waits to be stored by one process. Who waits for a lease is kept waiting by nothing else."""

    def __init__(self, server: Server, later: Later) -> None:
        self._server = server
        self._later = later
        self._load = Load()
        self._making: list[Callable[[], None]] = []
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, make: Callable[[], None], values: int) -> None:
        """When it leaves, `make` adds entries of so many values."""
        self._making.append(make)
        self._expected += values

    def add(self, namespace: str, entries: Mapping[str, bytes], life_ms: int) -> None:
        """Store entries soon, each for about so long."""
        load = self._load
        load.entries.update({name: (jittered_ms(life_ms), entry) for name, entry in entries.items()})
        load.numbers[namespace] += len(entries)

    def mark(self, marks: Sequence[str], life_ms: int, cost: timedelta) -> None:
        """Mark entries that are to be made anew before their life ends; `cost` is what making them takes."""
        shortest_ms = int(life_ms * (1 - JITTER))
        self._load.marks_ms.update({mark: mark_life_ms(shortest_ms, cost) for mark in marks})

    def give_back(self, lease: Lease) -> None:
        """Let go of a lease, and store what waits in the same step."""
        self._load.token_by_lease.update(dict.fromkeys(lease.names, lease.token))

    def leave(self) -> None:
        """Soon, or at once where somebody waits for a lease or much waits to be stored."""
        if self._load.token_by_lease or self._expected > MOST_VALUES:
            self.leave_now()
        elif self._timer is None and self._making:
            self._timer = asyncio.get_running_loop().call_later(LONGEST_WAIT.total_seconds(), self.leave_now)

    def leave_now(self) -> None:
        """Store what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        making, self._making, self._expected = self._making, [], 0
        for make in making:
            make()
        load, self._load = self._load, Load()
        if load.entries or load.token_by_lease:
            self._later(self._store(load))

    async def _store(self, load: Load) -> None:
        try:
            await self._server.script("fill", *load.command())
        except CacheUnreachable:
            count("cache_bypasses", "unfilled", len(load.entries))
        else:
            for namespace, number in load.numbers.items():
                count("cache_fills", namespace, number)


def jittered_ms(life_ms: int) -> int:
    """About so long."""
    return int(life_ms * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311


def mark_life_ms(life_ms: int, cost: timedelta) -> int:
    """When an entry is made anew: before its end by several times what that takes, each at another time."""
    early_ms = max(cost, SHORTEST_COST) / timedelta(milliseconds=1) * random.uniform(2, 10)  # noqa: S311
    return max(life_ms // 2, round(life_ms - early_ms))
