"""A worker as the coherence tests see one: its own pool, its own cache client, each behind a proxy of its own."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from cache.second_level import SecondLevelCache
from cache.server import Server
from db.database import Database, PoolLimits
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Batch, Loaders
from loaders.drain import drain_once
from loaders.employees import employee_by_id
from loaders.unit_of_work import unit_of_work
from telemetry.recording import recording
from tests.kit.proxy import Proxy, proxy_to
from tests.kit.rows import Rows

PATIENT = timedelta(seconds=5)  # a busy machine must not open a breaker
RENAME = statement("rename", "UPDATE employee SET full_name = :name, version = version + 1 WHERE id = :id")


class Worker:
    """Reads and writes the names of employees through the real loaders and the real unit of work."""

    def __init__(self, database: Database, cache: SecondLevelCache, postgres: Proxy, redis: Proxy) -> None:
        self.database = database
        self.cache = cache
        self.postgres = postgres
        self.redis = redis

    async def get(self, batch: Batch[Any, Any], key: Any) -> Any:
        """What a request of its own is told."""
        found = await Loaders(self.database, self.cache).load(batch, key)
        await self.cache.settle()
        return found

    async def name(self, employee: int = 1) -> str | None:
        """The name of an employee as a request is told it."""
        row = await self.get(employee_by_id, EmployeeId(employee))
        return row.full_name if row else None

    async def from_cache(self, employee: int = 1) -> bool:
        """Is the employee read without a statement?"""
        with recording() as made:
            await self.name(employee)
        return not made.sql

    async def rename(self, name: str, employee: int = 1) -> None:
        """Write through the unit of work."""
        async with unit_of_work(self.database, self.cache) as unit:
            await unit.connection.execute(RENAME, name=name, id=employee)

    async def write(self, sql: str, **parameters: Any) -> list[str]:
        """Any statement, through the unit of work; returns the tags that it touched."""
        async with unit_of_work(self.database, self.cache) as unit:
            await unit.connection.execute(statement("write", sql), **parameters)
        return unit.tags

    async def drain(self) -> bool:
        """One tick of the drain."""
        return await drain_once(self.database, self.cache)

    async def reconnect(self) -> None:
        """Talk to Redis on new connections from now on."""
        assert self.cache.server is not None
        await self.cache.server.close()

    async def psql(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """A statement of somebody who knows nothing of the cache."""
        async with self.database.transaction() as connection:
            return await connection.records(statement("outside", sql), **parameters)


@asynccontextmanager
async def open_worker(
    database_url: str, socket: Path, prefix: str, patience: timedelta = PATIENT, **limits: Any
) -> AsyncIterator[Worker]:
    """A worker with proxies before both servers."""
    folder = make_url(database_url).query["host"]
    async with AsyncExitStack() as stack:
        postgres = await stack.enter_async_context(proxy_to(f"{folder}/.s.PGSQL.5432"))
        redis = await stack.enter_async_context(proxy_to(socket))
        through = re.sub(r"\?host=.*", "", database_url).replace("@/", f"@127.0.0.1:{postgres.port}/")
        database = Database(through, PoolLimits(size=4, **limits))
        stack.push_async_callback(database.close)
        cache = SecondLevelCache(Server(f"redis://127.0.0.1:{redis.port}", patience), prefix)
        stack.push_async_callback(cache.close)
        yield Worker(database, cache, postgres, redis)


async def fill(url: str) -> None:
    """Twenty employees of two departments."""
    database = Database(url)
    async with database.transaction() as connection:
        rows = Rows(connection)
        location = await rows.location("MUM", "Asia/Kolkata", await rows.work_week("WEEKEND", (6, 31), (7, 31)))
        departments: Sequence[Any] = [await rows.department("A"), await rows.department("B")]
        for number in range(20):
            await rows.employee(f"name {number + 1}", departments[number % 2], location)
    await database.close()
