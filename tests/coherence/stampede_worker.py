"""A process that asks for the same aggregate fifty times at once: started by test_stampede.py."""

import asyncio
import sys
from collections.abc import Sequence

from cache.policy import Policy
from cache.second_level import SecondLevelCache
from cache.server import Server
from db import tags
from db.connection import ReadConnection
from db.database import Database
from db.where import statement
from loaders.batch import Batch, Loaders
from tests.coherence.worker import PATIENT

SLOW = statement("slow_sum", "SELECT count(*), pg_sleep(0.7) FROM employee")


async def slow(connection: ReadConnection, keys: Sequence[int]) -> dict[int, int]:
    """A sum that takes a while."""
    print("asks the database", flush=True)
    [(found, _)] = await connection.records(SLOW)
    return dict.fromkeys(keys, found)


async def main(database_url: str, socket: str) -> None:
    """Get ready, wait for a line, ask."""
    batch = Batch(slow, Policy("slow_sum", int, "aggregate", lambda key: (tags.EMPLOYEE_ANY(),)), absent=0)
    database, cache = Database(database_url), SecondLevelCache(Server(f"unix://{socket}", PATIENT), "test")
    await database.ping()
    await cache.home()
    print("ready", flush=True)
    sys.stdin.readline()
    found = await asyncio.gather(*(Loaders(database, cache).load(batch, 1) for _ in range(50)))
    print(f"same: {found.count(found[0])}", flush=True)
    await cache.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
