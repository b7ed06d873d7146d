"""A service per test, over a small company of its own where the test writes."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from tests.coherence.weakened import weaken
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.small_company import NOW, fill_small_company
from tests.responses.service import Service, open_service

weaken(os.environ.get("WITHOUT", ""))


@pytest.fixture
async def service(databases: Databases, company_url: str) -> AsyncIterator[Service]:
    """The small company of the module: for reading."""
    async with open_service(company_url, databases.redis_url, Clock(NOW)) as found:
        yield found


@pytest.fixture
async def fresh_url(databases: Databases) -> AsyncIterator[str]:
    """A small company of the test's own."""
    url = await asyncio.to_thread(databases.new, "small_company", fill_small_company)
    yield url
    await asyncio.to_thread(databases.drop, url)


@pytest.fixture
async def fresh_service(databases: Databases, fresh_url: str) -> AsyncIterator[Service]:
    """A service over it: for writing."""
    async with open_service(fresh_url, databases.redis_url, Clock(NOW)) as found:
        yield found
