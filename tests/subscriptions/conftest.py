"""The whole service behind a real port, with a beat struck by hand."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.responses.conftest import fresh_service, fresh_url, service
from tests.responses.service import Service
from tests.subscriptions.hand_beat import HandBeat
from tests.web.serving import served

__all__ = ["fresh_service", "fresh_url", "service"]


@dataclass
class Stage:
    """A service at a port."""

    service: Service
    port: int
    beat: HandBeat


@pytest.fixture
async def stage(service: Service) -> AsyncIterator[Stage]:
    """For reading."""
    beat = service.live.beat = HandBeat()
    async with served(service.app) as port:
        yield Stage(service, port, beat)


@pytest.fixture
async def fresh_stage(fresh_service: Service) -> AsyncIterator[Stage]:
    """For writing."""
    beat = fresh_service.live.beat = HandBeat()
    async with served(fresh_service.app) as port:
        yield Stage(fresh_service, port, beat)
