"""The database that random companies are drawn into."""

from collections.abc import Iterator

import pytest

from tests.kit.databases import Databases


@pytest.fixture(scope="module")
def drawn_url(databases: Databases) -> Iterator[str]:
    """A migrated database without any row; who draws a company into it clears it first."""
    url = databases.new()
    yield url
    databases.drop(url)
