"""Tests of the marker `deploy` start the whole service several times: only `make test-deploy` runs them."""

import pytest

from tests.cluster.conftest import start

__all__ = ["start"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", "deploy: runs the deployment for real, minutes long (make test-deploy)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what nobody asked for by name."""
    if "deploy" not in config.option.markexpr:
        for item in items:
            if item.get_closest_marker("deploy"):
                item.add_marker(pytest.mark.skip(reason="minutes long: make test-deploy"))
