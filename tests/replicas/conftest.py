"""Fixtures: a pair of servers for the module, a database and workers of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from cache.second_level import SecondLevelCache
from cache.server import Server
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import PATIENT, Worker
from tests.kit.proxy import proxy_to
from tests.replicas.pair import Pair

NewWorker = Callable[[], Awaitable[Worker]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A primary and its replica."""
    folder: Path = tmp_path_factory.mktemp("pair")
    for above in (folder, folder.parent, folder.parent.parent):
        above.chmod(0o711)
    folder.chmod(0o777)
    pair = Pair(folder)
    asyncio.run(pair.start())
    yield pair
    asyncio.run(pair.postgres.stop())


@pytest.fixture
async def pair(servers: Pair) -> AsyncIterator[Pair]:
    """Both as they should be; what the test does to them is put right after it."""
    yield servers
    await servers.heal()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with private_valkey() as found:
        yield found


@pytest.fixture
async def database_name(pair: Pair) -> str:
    return await pair.new_database()


@pytest.fixture
async def new_worker(pair: Pair, database_name: str, valkey: Valkey) -> AsyncIterator[NewWorker]:
    """Makes workers over the pair and one Valkey; the drain ticks only when it is told to."""
    async with AsyncExitStack() as stack:

        async def make() -> Worker:
            postgres = await stack.enter_async_context(proxy_to(("127.0.0.1", pair.primary.port)))
            redis = await stack.enter_async_context(proxy_to(valkey.path))
            database = pair.database(database_name, postgres.port)
            stack.push_async_callback(database.close)
            cache = SecondLevelCache(Server(f"redis://127.0.0.1:{redis.port}", PATIENT), "test")
            stack.push_async_callback(cache.close)
            return Worker(database, cache, postgres, redis)

        yield make


@pytest.fixture
async def worker(new_worker: NewWorker) -> Worker:
    """A worker whose cache is usable for the next two seconds, and knows what a replica needs."""
    found = await new_worker()
    await known(found)
    return found


@pytest.fixture
async def other(new_worker: NewWorker, worker: Worker) -> Worker:
    """Another worker beside it."""
    return await new_worker()


async def rested(worker: Worker) -> None:
    """Wait until a replica that was behind is asked again."""
    async with asyncio.timeout(30):
        while any(replica.rests for replica in worker.database.replicas._replicas):
            await asyncio.sleep(0)


async def known(worker: Worker) -> None:
    """Drain until the newest position is known for certain: from the second drain on."""
    async with asyncio.timeout(30):
        while await worker.cache.newest() is None:
            assert await worker.drain()
