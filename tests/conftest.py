"""Fixtures of the test kit: one lease on the servers, databases from templates, rigs."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.kit.databases import Databases, leased_databases
from tests.kit.rig import Rig, open_rig
from tests.kit.small_company import NOW, fill_small_company


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """The servers for tests; started by the first test that needs them."""
    with leased_databases() as found:
        yield found


@pytest.fixture(scope="module")
def company_url(databases: Databases) -> Iterator[str]:
    """The module's own copy of the small company, for tests that only read."""
    url = databases.new("small_company", fill_small_company)
    yield url
    databases.drop(url)


@pytest.fixture
async def rig(databases: Databases, company_url: str) -> AsyncIterator[Rig]:
    """The small company of the module with an empty cache: for reading."""
    async with open_rig(company_url, databases.redis_url, NOW) as found:
        yield found


@pytest.fixture
async def fresh_rig(databases: Databases) -> AsyncIterator[Rig]:
    """A small company of the test's own: for writing."""
    url = await asyncio.to_thread(databases.new, "small_company", fill_small_company)
    async with open_rig(url, databases.redis_url, NOW) as found:
        yield found
    await asyncio.to_thread(databases.drop, url)


@pytest.fixture
async def empty_rig(databases: Databases) -> AsyncIterator[Rig]:
    """A migrated database without any row."""
    url = await asyncio.to_thread(databases.new)
    async with open_rig(url, databases.redis_url, NOW) as found:
        yield found
    await asyncio.to_thread(databases.drop, url)
