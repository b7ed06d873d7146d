"""What the model plays on: two Valkeys, a database, three workers, and lookups that may be stopped at their steps."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Final

from cache.breaker import Breaker
from cache.policy import Policy
from cache.second_level import SecondLevelCache
from db import tags
from db.connection import ReadConnection
from db.employees import employees_by_id
from db.rows import EmployeeRow
from domain.ids import EmployeeId
from loaders.batch import Batch
from tests.coherence.torture_worker import LIST
from tests.coherence.valkey import Valkey
from tests.coherence.worker import Worker, open_worker
from tests.kit.proxy import Stop

WORKERS: Final = 3


class Ground:
    """The servers and the workers, which all examples share; each example has a prefix of its own."""

    def __init__(self, url: str, valkeys: Sequence[Valkey]) -> None:
        self.url, self.valkeys = url, valkeys
        self.loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._numbers = count(1)
        self.workers: list[Worker] = []
        self.clock_s = 0.0

    async def open(self) -> None:
        """Start the workers."""
        for _ in range(WORKERS):
            opened = open_worker(self.url, self.valkeys[0].path, "model")
            self.workers.append(await self._stack.enter_async_context(opened))

    async def close(self) -> None:
        """Stop them."""
        await self._stack.aclose()

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
        await self.workers[0].psql("UPDATE employee SET version = 1")
        await self.workers[0].psql("DELETE FROM cache_outbox")
        await self.workers[0].psql(
            "UPDATE cache_state SET run_id = '', suspended_until = '-infinity', holds_from = '-infinity'"
        )
        assert await self.workers[0].drain()
        return prefix


async def gate(stop: Stop | None, name: bytes) -> None:
    if stop is not None and stop.marker == name:
        with suppress(ConnectionResetError):
            await stop.wait(0)


def row_stopping_at(stop: Stop | None) -> Batch[EmployeeId, EmployeeRow]:
    async def fetch(connection: ReadConnection, ids: Sequence[EmployeeId]) -> dict[EmployeeId, EmployeeRow]:
        await gate(stop, b"before the rows")
        found = await employees_by_id(connection, ids)
        await gate(stop, b"after the rows")
        return found

    return Batch(fetch, Policy("row", EmployeeRow, "employee", lambda key: (tags.EMPLOYEE(key),)))


def list_stopping_at(stop: Stop | None) -> Batch[int, tuple[tuple[int, int], ...]]:
    async def fetch(connection: ReadConnection, ids: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
        await gate(stop, b"before the rows")
        found = [(row[0], row[1]) for department in (1, 2) for row in await connection.records(LIST, id=department)]
        await gate(stop, b"after the rows")
        return dict.fromkeys(ids, tuple(found))

    policy: Policy[int, tuple[tuple[int, int], ...]] = Policy(
        "listed", tuple[tuple[int, int], ...], "list", lambda _: (tags.EMPLOYEE_ANY(),)
    )
    return Batch(fetch, policy)


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
