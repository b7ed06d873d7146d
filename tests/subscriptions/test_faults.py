"""Whatever happens to Redis, no event is older than what was acknowledged before it began, and none goes back.

The beat is the real one, and so are the faults: those of tests/coherence/test_degradation.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
import pytest

from tests.coherence.test_degradation import AS_IF_OVER, FAULTS, Ground, ground
from tests.kit.small_company import HR, LAB
from tests.mutations.changing import department
from tests.responses.conftest import fresh_url
from tests.responses.service import Service
from tests.subscriptions.following import wanted

__all__ = ["fresh_url", "ground"]

LABELS: Final = "subscription { todayChanged(minIntervalMs: 100) { byDepartment { keys { label } } } }"
WRITES: Final = 4


class Told:
    """What followers are told; `old` are events below what was acknowledged when their execution began."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.acknowledged = 0
        self.latest = dict.fromkeys((HR, "again"), 0)
        self.old: list[tuple[str, int, int]] = []
        self._least: dict[str, int] = {}

    async def follow(self, name: str) -> None:
        """Be told until it is cancelled."""
        events = self._service.live.follow(await wanted(self._service, LABELS, HR, request_id=name))
        try:
            while True:
                event = await events.next()
                assert not event.failed, event.answer.body
                number = _number(orjson.loads(event.answer.body)["data"]["todayChanged"])
                least = max(self._least[name], self.latest[name])
                if number < least:
                    self.old.append((name, number, least))
                self.latest[name] = number
        finally:
            events.close()

    def noted(self, make: Any) -> Any:
        """Contexts are made when an execution begins: from then on it may say nothing older."""

        async def made(facts: Any) -> Any:
            self._least[facts.request_id] = self.acknowledged
            return await make(facts)

        return made

    async def all_told(self) -> None:
        """Until everybody has been told the latest."""
        async with asyncio.timeout(20):
            while any(number < self.acknowledged for number in self.latest.values()):
                await asyncio.sleep(0.01)


def _number(today: Any) -> int:
    labels = [row["keys"][0]["label"] for row in today["byDepartment"]]
    [lab] = [label for label in labels if label.startswith("Lab")]
    return int(lab.removeprefix("Lab").strip() or 0)


@asynccontextmanager
async def followed(service: Service) -> AsyncIterator[Told]:
    """Two who follow the same."""
    told = Told(service)
    service.live._contexts = told.noted(service.live._contexts)
    tasks = [asyncio.create_task(told.follow(name)) for name in told.latest]
    try:
        yield told
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_event_is_old(ground: Ground, fault: str) -> None:
    strikes, heals = FAULTS[fault]
    service = ground.service

    async def write(told: Told) -> None:
        number = told.acknowledged + 1
        await service.change("saveDepartment", HR, id=department(LAB), name=f"Lab {number}")
        told.acknowledged = number

    await ground.until_hit()
    async with followed(service) as told:
        await write(told)
        await told.all_told()
        await strikes(ground)
        await write(told)
        await told.all_told()
        await heals(ground)
        async with service.resources.database.transaction() as connection:
            await connection.execute(AS_IF_OVER)  # a suspension of 4 s, if there is one
        await write(told)
        await told.all_told()
        await ground.until_hit()
        await write(told)
        await told.all_told()
        assert (told.old, told.acknowledged) == ([], WRITES)
