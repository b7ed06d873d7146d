"""Storing what was read: what all lookups of some milliseconds have loaded leaves together, off the reply path.

Also the entries are made only then, one after the other: code that has just run costs half of what it costs in between.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

from cache.leases import Lease
from cache.policy import Policy
from cache.reading import Reading
from cache.server import CacheUnreachable, Server
from telemetry.counters import count

K = TypeVar("K")
V = TypeVar("V")

JITTER: Final = 0.1
SHORTEST_COST: Final = timedelta(milliseconds=100)  # what is asked for once in a while should be met as well
LONGEST_WAIT: Final = timedelta(milliseconds=20)
MOST_VALUES: Final = 1_000
"""That wait; more leave at once."""
MOST_BYTES: Final = 1_000_000
"""In one command; more leave in several."""
NO_LEASE: Final = Lease("", ())

Later = Callable[[Coroutine[Any, Any, None]], None]
"""Begins something that nobody waits for."""


class Load:
    """What leaves together: entries by their lives, marks of their youth, and leases to give back."""

    def __init__(self) -> None:
        self.entries_by_life_ms: dict[int, dict[str, bytes]] = {}
        self.marks_ms: dict[str, int] = {}
        self.token_by_lease: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        """Of the entries, by namespace."""
        self.size_bytes = 0

    def add(self, namespace: str, entries: dict[str, bytes], life_ms: int) -> None:
        """Take entries of about this life along."""
        self.entries_by_life_ms.setdefault(life_ms, {}).update(entries)
        self.numbers[namespace] = self.numbers.get(namespace, 0) + len(entries)
        self.size_bytes += sum(map(len, entries.values()))

    def command(self) -> tuple[list[str], list[Any]]:
        """Keys and arguments of the script `fill`; lives are longer or shorter by JITTER, each by another share."""
        groups = self.entries_by_life_ms.values()
        keys = [*chain.from_iterable(groups), *self.marks_ms, *self.token_by_lease]
        lives = [
            number
            for life_ms, entries in self.entries_by_life_ms.items()
            for number in (len(entries), int(life_ms * (1 - JITTER)), int(life_ms * (1 + JITTER)))
        ]
        stored = chain.from_iterable(entries.values() for entries in groups)
        head = len(groups), len(self.marks_ms), random.getrandbits(31)
        return keys, [*head, *lives, *stored, *self.marks_ms.values(), *self.token_by_lease.values()]


class Filling:
    """What waits to be stored by one process. Who waits for a lease is kept waiting by nothing else."""

    def __init__(self, server: Server, later: Later, entry_prefix: str, mark_prefix: str) -> None:
        self._server = server
        self._later = later
        self._entry_prefix = entry_prefix
        self._mark_prefix = mark_prefix
        self._load = Load()
        self._full: list[Load] = []
        self._token_by_lease: dict[str, str] = {}
        self._making: list[Callable[[], None]] = []
        self._expected = 0
        self._timer: asyncio.TimerHandle | None = None

    def take(
        self,
        policy: Policy[K, V],
        reading: Reading[K, V],
        values: Mapping[K, V | None],
        life_ms: int,
        lease: Lease = NO_LEASE,
        cost: timedelta = timedelta(),
    ) -> None:
        """Store soon what was loaded after a reading, each for about so long, and give back its lease in the same step.

        At once, where somebody waits for the lease or much waits to be stored. `cost` is what loading it took.
        """
        if reading.ticket is not None and values:
            self._making.append(partial(self._make, policy, reading, values, life_ms, cost))
            self._expected += len(values)
        if lease.names:
            self._token_by_lease.update(dict.fromkeys(lease.names, lease.token))
            self.leave_now()
        elif self._expected > MOST_VALUES:
            self.leave_now()
        elif self._timer is None and self._making:
            self._timer = asyncio.get_running_loop().call_later(LONGEST_WAIT.total_seconds(), self.leave_now)

    def soon(self, make: Callable[[], None]) -> None:
        """Let `make` add something in the next turn of the event loop, and store it together with what waits."""
        self._making.append(make)
        asyncio.get_running_loop().call_soon(self.leave_now)

    def add(self, namespace: str, name: str, entry: bytes, life_ms: int) -> None:
        """Store an entry for about so long; called by what `soon` was given."""
        self._add(namespace, {self._entry_prefix + name: entry}, life_ms)

    def _add(self, namespace: str, entries: dict[str, bytes], life_ms: int) -> None:
        if self._load.size_bytes > MOST_BYTES:
            self._fill_another()
        self._load.add(namespace, entries, life_ms)

    def _make(
        self,
        policy: Policy[K, V],
        reading: Reading[K, V],
        values: Mapping[K, V | None],
        life_ms: int,
        cost: timedelta,
    ) -> None:
        for part in parts_of(reading.entries(values, self._entry_prefix), MOST_BYTES - self._load.size_bytes):
            self._add(policy.namespace, part, life_ms)
            if policy.renews_early:
                for name in part:
                    mark = self._mark_prefix + name.removeprefix(self._entry_prefix)
                    self._load.marks_ms[mark] = mark_life_ms(int(life_ms * (1 - JITTER)), cost)

    def leave_now(self) -> None:
        """Store what waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        making, self._making, self._expected = self._making, [], 0
        for make in making:
            make()
        self._fill_another()
        loads, self._full = self._full, []
        loads[-1].token_by_lease, self._token_by_lease = self._token_by_lease, {}
        if loads[-1].numbers or loads[-1].token_by_lease:
            self._later(self._store(loads))

    def _fill_another(self) -> None:
        self._full.append(self._load)
        self._load = Load()

    async def _store(self, loads: Sequence[Load]) -> None:
        """One after the other: leases are given back by the last."""
        for load in loads:
            try:
                await self._server.script("fill", *load.command())
            except CacheUnreachable:
                count("cache_bypasses", "unfilled", sum(load.numbers.values()))
            else:
                for namespace, number in load.numbers.items():
                    count("cache_fills", namespace, number)


def parts_of(entries: dict[str, bytes], room_bytes: int) -> Iterator[dict[str, bytes]]:
    """The entries in parts: the first of little more than `room_bytes`, each other of little more than MOST_BYTES."""
    if entries and sum(map(len, entries.values())) <= room_bytes:
        yield entries
        return
    part: dict[str, bytes] = {}
    for name, entry in entries.items():
        part[name] = entry
        room_bytes -= len(entry)
        if room_bytes < 0:
            yield part
            part, room_bytes = {}, MOST_BYTES
    if part:
        yield part


def mark_life_ms(life_ms: int, cost: timedelta) -> int:
    """When an entry is made anew: before its end by several times what that takes, each at another time."""
    early_ms = max(cost, SHORTEST_COST) / timedelta(milliseconds=1) * random.uniform(2, 10)  # noqa: S311
    return max(life_ms // 2, round(life_ms - early_ms))
