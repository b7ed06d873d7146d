"""How many tags are held now is shown: from before COMMIT until the release, or until the life of the hold is over."""

import asyncio

import pytest

from cache.second_level import HOLD_LIFE
from domain.errors import Unavailable
from loaders import unit_of_work
from loaders.held import HeldTags
from tests.coherence.worker import Worker
from tests.kit.seconds import Seconds
from tests.kit.sequencer import within

RENAME = "UPDATE employee SET full_name = 'new' WHERE id = 1"


@pytest.fixture
def time() -> Seconds:
    return Seconds()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, time: Seconds) -> HeldTags:
    """Those of this test alone."""
    found = HeldTags(time)
    monkeypatch.setattr(unit_of_work, "held_tags", found)
    return found


async def test_the_tags_of_a_write_are_held_until_its_release(worker: Worker, held: HeldTags) -> None:
    stop = worker.postgres.stop_before(b"COMMIT")
    writing = asyncio.create_task(worker.write(RENAME))
    await within(stop.reached.wait())
    number = held.number()
    stop.go_on()
    assert number == len(await writing) > 0
    assert held.number() == 0


async def test_those_of_a_commit_whose_outcome_is_unknown_are_held_until_its_hold_lapses(
    worker: Worker, held: HeldTags, time: Seconds
) -> None:
    worker.postgres.lose_answer_to(b"COMMIT")
    with pytest.raises(Unavailable):
        await worker.write(RENAME)
    time.now_s += HOLD_LIFE.total_seconds() - 0.1
    assert held.number() > 0
    time.now_s += 0.1
    assert held.number() == 0


async def test_a_writer_that_cannot_hold_holds_nothing(worker: Worker, held: HeldTags) -> None:
    await worker.redis.refuse()
    await worker.write(RENAME)
    assert held.number() == 0


def test_what_lapsed_is_forgotten_when_others_hold(held: HeldTags, time: Seconds) -> None:
    held.begin("1-1", 3)
    time.now_s += 6
    held.begin("1-2", 5)
    assert held.number() == 8
    time.now_s += 6
    held.begin("1-3", 1)
    assert held.number() == 6 and list(held._holds) == ["1-2", "1-3"]
    held.end("1-1")
    held.end("1-2")
    assert held.number() == 1
