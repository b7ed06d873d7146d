"""One timer for all requests: each ends in its own time and none ends another."""

import asyncio
from datetime import timedelta

import pytest

from web.deadlines import Deadlines

LIMIT = timedelta(milliseconds=50)
LONG = timedelta(hours=1)


async def until_over(deadlines: Deadlines) -> str:
    """How an endless piece of work ends."""
    with deadlines.begin():
        await asyncio.Event().wait()
    return "done"


async def test_each_ends_in_its_own_time_and_in_order() -> None:
    deadlines, ends = Deadlines(LIMIT), list[int]()

    async def one(number: int) -> None:
        with pytest.raises(TimeoutError):
            await until_over(deadlines)
        ends.append(number)

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    first = asyncio.create_task(one(1))
    await asyncio.sleep(LIMIT.total_seconds() / 2)  # so that the timer must be set anew for the second one
    await asyncio.gather(first, one(2))
    assert ends == [1, 2]
    assert loop.time() - began_s >= 1.5 * LIMIT.total_seconds()


async def test_work_that_is_done_or_has_no_limit_any_more_is_not_cancelled() -> None:
    deadlines = Deadlines(LIMIT)
    with deadlines.begin():
        pass
    with deadlines.begin() as lifted:
        lifted.lift()
        await asyncio.sleep(2 * LIMIT.total_seconds())
    with pytest.raises(TimeoutError):
        await until_over(deadlines)
    assert not lifted.is_over


async def test_it_can_be_over_before_its_time() -> None:
    deadline = Deadlines(LONG).begin()

    async def work() -> None:
        with deadline:
            await asyncio.Event().wait()

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    deadline.bring_forward()
    deadline.bring_forward()
    with pytest.raises(TimeoutError):
        await working
    deadline.bring_forward()
    assert (working.cancelling(), deadline.is_over) == (0, True)


async def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    deadlines = Deadlines(LONG)
    working = asyncio.create_task(until_over(deadlines))
    await asyncio.sleep(0)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    deadline = deadlines.begin()

    async def both() -> None:
        with deadline:
            await asyncio.Event().wait()

    working = asyncio.create_task(both())
    await asyncio.sleep(0)
    deadline.bring_forward()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working


async def test_errors_come_out_as_they_are() -> None:
    with pytest.raises(ValueError, match="of the work"), Deadlines(LONG).begin():
        raise ValueError("of the work")
