"""Fixtures of the coherence tests: a database and a Valkey of the test's own, and workers over them."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.weakened import OTHER_WAYS, SAFEGUARDS, weaken
from tests.coherence.worker import Worker, fill, open_worker
from tests.kit.databases import Databases

NewWorker = Callable[..., Awaitable[Worker]]
WITHOUT = os.environ.get("WITHOUT", "")
weaken(WITHOUT)  # before anything looks at the scripts


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """A Valkey that may be maltreated."""
    with private_valkey() as found:
        yield found


@pytest.fixture
async def database_url(databases: Databases) -> AsyncIterator[str]:
    """A database with twenty employees."""
    url = await asyncio.to_thread(databases.new, "coherence", fill)
    if WITHOUT and (sql := (SAFEGUARDS | OTHER_WAYS)[WITHOUT].sql):
        await asyncio.to_thread(databases.run_in, url, sql)
    yield url
    await asyncio.to_thread(databases.drop, url)


@pytest.fixture
async def new_worker(database_url: str, valkey: Valkey) -> AsyncIterator[NewWorker]:
    """Makes workers over one database and one Valkey; the drain ticks only when it is told to."""
    async with AsyncExitStack() as stack:

        async def make(**more: Any) -> Worker:
            return await stack.enter_async_context(open_worker(database_url, valkey.path, "test", **more))

        yield make


@pytest.fixture
async def worker(new_worker: NewWorker) -> Worker:
    """A worker whose cache is usable for the next two seconds."""
    found = await new_worker()
    assert await found.drain()
    return found


@pytest.fixture
async def other(new_worker: NewWorker, worker: Worker) -> Worker:
    """Another worker beside it."""
    return await new_worker()
