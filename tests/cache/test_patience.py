"""A server is given up when it is silent, not when our own event loop was busy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from cache.patience import MOST_LATE, STEPS, Patience
from cache.server import CacheUnreachable, Server
from tests.coherence.valkey import Valkey, private_valkey
from tests.kit.loop_time import standing_loop_time
from tests.kit.sequencer import within

LIMIT = timedelta(milliseconds=100)


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with private_valkey() as found:
        yield found


@pytest.fixture
async def server(valkey: Valkey) -> AsyncIterator[Server]:
    found = Server(f"unix://{valkey.path}", LIMIT)
    await found.mget(["warm"])
    yield found
    await found.close()


@pytest.mark.parametrize("turns", range(8))
async def test_an_answer_that_lay_there_while_the_loop_was_busy_is_taken(server: Server, turns: int) -> None:
    with standing_loop_time() as time:
        asking = asyncio.create_task(server.mget(["x"]))
        for _ in range(turns):
            await asyncio.sleep(0)
        time.forward(0.3)
        assert (await asking).value == [None]
    assert server.breaker.state == "closed"


async def test_a_frozen_server_is_given_up_in_time(server: Server, valkey: Valkey) -> None:
    valkey.freeze()
    with standing_loop_time(idling_moves_it=True) as time, pytest.raises(CacheUnreachable):
        await server.mget(["x"])
    assert time.passed_s == pytest.approx(0.1)
    assert server.breaker.state == "open"
    valkey.freeze(on=False)


async def test_a_server_that_never_lets_anybody_in_is_given_up_in_time(valkey: Valkey) -> None:
    valkey.freeze()
    server = Server(f"unix://{valkey.path}", LIMIT)
    with standing_loop_time(idling_moves_it=True) as time, pytest.raises(CacheUnreachable):
        await server.mget(["x"])
    assert time.passed_s == pytest.approx(0.1)
    await server.close()
    valkey.freeze(on=False)


async def test_a_loop_that_is_always_late_still_gives_up() -> None:
    given_up = asyncio.Event()
    patience = Patience(0.1, given_up.set)
    loop = asyncio.get_running_loop()
    steps = []
    for _ in range(STEPS + MOST_LATE):
        steps.append(patience._left)
        patience._handle.cancel()
        patience._handle = loop.call_at(loop.time() - 1, patience._step)
        patience._step()
    await within(given_up.wait())
    assert steps == [STEPS] * (MOST_LATE + 1) + [3, 2, 1]
