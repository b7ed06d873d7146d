"""The beat: never before the interval is over, and together."""

import asyncio
from datetime import timedelta

from web.beat import BEAT_S, Beat


async def test_those_who_wait_for_one_stroke_wake_in_one_turn() -> None:
    beat, loop = Beat(), asyncio.get_running_loop()
    began_s = loop.time()
    woken: list[tuple[int, float]] = []

    async def wait(number: int, interval: timedelta) -> None:
        await beat.wait(interval)
        woken.append((number, loop.time()))

    interval = timedelta(seconds=BEAT_S)
    waiting = [asyncio.create_task(wait(number, interval)) for number in range(3)]
    await asyncio.sleep(0)
    timers = len(beat._strokes)
    await asyncio.wait(waiting)
    assert [number for number, _ in woken] == [0, 1, 2]
    assert all(at_s - began_s >= BEAT_S for _, at_s in woken)
    assert timers == 1
    assert beat._strokes == {}


async def test_one_who_gives_up_takes_nobody_along() -> None:
    beat = Beat()
    first, second = (asyncio.create_task(beat.wait(timedelta(milliseconds=1))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert first.cancelled()
