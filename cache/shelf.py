"""Entries that are no lookup's: they are read unchecked, in the MGET of the tick, and stored one by one.

An entry has the form of any other, fence and stamps first; whoever takes one checks them before using it.
"""

import random
from collections.abc import Sequence
from datetime import timedelta

from cache.filling import JITTER
from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable
from telemetry.counters import count


class Shelf:
    """Bytes by name in the Redis of a cache."""

    def __init__(self, cache: SecondLevelCache) -> None:
        self._cache = cache

    @property
    def is_there(self) -> bool:
        """Whether there is a Redis at all."""
        return self._cache.server is not None

    async def read(self, names: Sequence[str]) -> list[bytes | None]:
        """What stands under the names; nothing of all when Redis cannot be reached."""
        try:
            return await self._cache.as_stored(names)
        except CacheUnreachable:
            return [None] * len(names)

    async def put(self, name: str, entry: bytes, life: timedelta) -> bool:
        """Store an entry for about so long; whether it is stored."""
        assert self._cache.server is not None
        life_ms = max(1, round(life / timedelta(milliseconds=1) * random.uniform(1 - JITTER, 1)))  # noqa: S311
        try:
            await self._cache.server.ask("SET", self._cache.entry_prefix + name, entry, "PX", life_ms)
        except CacheUnreachable:
            count("cache_bypasses", "unfilled")
            return False
        return True
