"""What the model plays on: two Valkeys, a database, and three workers."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from itertools import count
from typing import Any, Final

import loaders.unit_of_work
from cache.breaker import Breaker
from cache.second_level import SecondLevelCache
from db.database import Database, PoolLimits
from db.where import statement
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import Worker, fill, open_worker
from tests.kit.databases import Databases

WORKERS: Final = 3


class Ground:
    """The servers and the workers, which all examples share; each example has a prefix of its own."""

    def __init__(self, url: str, valkeys: Sequence[Valkey]) -> None:
        self.url, self.valkeys = url, valkeys
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._numbers = count(1)
        self.workers: list[Worker] = []
        self.outside = Database(url, PoolLimits(size=2))
        """For psql, since those who stand at a step may have every connection of a worker."""
        self.clock_s = 0.0

    async def open(self) -> None:
        """Start the workers."""
        for _ in range(WORKERS):
            opened = open_worker(self.url, self.valkeys[0].path, "model")
            self.workers.append(await self._stack.enter_async_context(opened))

    async def close(self) -> None:
        """Stop them."""
        await self._stack.aclose()
        await self.outside.close()

    async def psql(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """A statement of somebody who knows nothing of the cache."""
        async with self.outside.transaction() as connection:
            return await connection.records(statement("outside", sql), **parameters)

    async def begin(self) -> str:
        """As if nothing had been."""
        prefix = f"m{next(self._numbers)}"
        for valkey in self.valkeys:
            valkey.ask("FLUSHALL")
        for worker in self.workers:
            await worker.redis.heal()
            worker.redis.point_to(self.valkeys[0].path)
            assert worker.cache.server is not None
            worker.cache.server.breaker = Breaker(lambda: self.clock_s)
            worker.cache = SecondLevelCache(worker.cache.server, prefix)
            await worker.reconnect()
        await self.psql("UPDATE employee SET version = 1")
        await self.psql("DELETE FROM cache_outbox")
        await self.psql(
            "UPDATE cache_state SET (suspended_until, ends_from, holds_from) = ('-infinity', '-infinity', '-infinity'),"
            " run_id = ''"
        )
        assert await self.workers[0].drain()
        return prefix


@contextmanager
def opened(databases: Databases) -> Iterator[Ground]:
    """What all examples share."""
    url = databases.new("coherence", fill)
    with private_valkey() as one, private_valkey() as two:
        ground = Ground(url, (one, two))
        ground.loop.run_until_complete(ground.open())
        try:
            yield ground
        finally:
            vars(loaders.unit_of_work)["asyncio"] = asyncio
            ground.loop.run_until_complete(ground.close())
            ground.loop.close()
            databases.drop(url)


class Clock:
    """Stands for asyncio in the unit of work: to sleep is to let the time pass."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        self.sleep = sleep

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


def move_deadlines(valkey: Valkey, prefix: str, by_ms: int) -> None:
    """Fence and holds; entries and stamps live for hours."""
    with valkey.client as client:
        seconds, microseconds = client.time()
        now_ms = seconds * 1000 + microseconds // 1000
        for key in client.keys(f"{prefix}:[fs]*"):
            value, expires_ms = client.get(key), client.pexpiretime(key)
            if value is None or (b"!" not in value and not key.endswith(b":f")):
                continue
            moved = re.sub(rb"@(\d+)", lambda found: b"@%d" % (int(found[1]) - by_ms), value)
            if expires_ms - by_ms <= now_ms:
                client.delete(key)
            else:
                client.set(key, moved, pxat=expires_ms - by_ms)
