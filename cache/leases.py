"""Leases on making an entry: of several workers that miss the same, one makes it and the others wait for it.

A lease keeps nobody from anything: without Redis, and after a wait that was too long, everybody asks the database.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, NamedTuple

from cache.server import CacheUnreachable, Server
from cache.tick import TickReader

LIFE: Final = timedelta(seconds=1)
"""Of a lease whose holder died; a living one prolongs it four times as often."""
FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.05


class Lease(NamedTuple):
    """What one holder took."""

    token: str
    names: tuple[str, ...]


class Leases:
    """The leases of one installation."""

    def __init__(self, server: Server, tick: TickReader, prefix: str) -> None:
        self._server = server
        self._tick = tick
        self._prefix = f"{prefix}:l:"

    def name(self, entry: str, fence: bytes, stamps: Sequence[bytes]) -> str:
        """Of an entry as it is made under these stamps: who sees newer ones waits for nobody who saw older ones."""
        digest = hashlib.blake2b(b"\0".join((fence, *stamps)), digest_size=8).hexdigest()
        return f"{self._prefix}{entry}:{digest}"

    async def take(self, lease: Lease) -> Lease:
        """Those of the leases that nobody else has, all of them when Redis does not answer."""
        try:
            answer = await self._server.run("lease", lease.names, [lease.token, round(LIFE.total_seconds() * 1000)])
        except CacheUnreachable:
            return lease
        return lease._replace(names=tuple(name for name, won in zip(lease.names, answer.value, strict=True) if won))

    @asynccontextmanager
    async def kept(self, lease: Lease) -> AsyncIterator[None]:
        """Prolong a lease while the block runs."""
        keeping = asyncio.get_running_loop().create_task(self._keep(lease)) if lease.names else None
        try:
            yield
        finally:
            if keeping:
                keeping.cancel()

    async def _keep(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(LIFE.total_seconds() / 4)
            await self.take(lease)

    async def gone(self, names: Sequence[str], deadline_s: float) -> None:
        """Wait until one of the leases has ended, by its holder or by its life, at most until a time of the loop."""
        loop, pause_s = asyncio.get_running_loop(), FIRST_PAUSE_S
        while (left_s := deadline_s - loop.time()) > 0:
            await asyncio.sleep(min(left_s, pause_s * random.uniform(0.7, 1.3)))  # noqa: S311
            pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
            try:
                _, values = await self._tick.read(names)
            except CacheUnreachable:
                return
            if None in values:
                return
