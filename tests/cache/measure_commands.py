"""`python -m tests.cache.measure_commands`: what a command costs us, through redis-py and past it, and Valkey."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis

from cache.server import Server
from tests.coherence.valkey import Valkey, private_valkey
from tests.kit.rig import PATIENCE

COMMANDS: Final = 5_000
LOOKS: Final = 500
NAMES: Final = (10, 1_000)


async def measure(valkey: Valkey) -> None:
    """Print a line for each way of sending a command, and one for each number of names."""
    url = f"unix://{valkey.path}"
    server, client = Server(url, PATIENCE, prefix="measured"), Redis.from_url(url)
    for number in NAMES:
        names = [f"measured:{place}" for place in range(number)]
        await client.mset(dict.fromkeys(names, "d814.1795649173.960382"))
        mget, look = partial(server.mget, names), partial(server.run, "look", names, [number - 1, "r", 60_000])
        if number == min(NAMES):
            ours, theirs = await _cpu_us(mget), await _cpu_us(partial(client.mget, names))
            print(f"MGET of {number} names, CPU of this process: {ours:.0f} us, through redis-py {theirs:.0f} us")
        mget_us, look_us = await _valkey_us(client, "mget", mget), await _valkey_us(client, "evalsha", look)
        print(f"{number:,} names, time of Valkey: MGET {mget_us:.3g} us, look {look_us:.3g} us")
    await server.close()
    await client.aclose()


async def _cpu_us(send: Callable[[], Awaitable[Any]]) -> float:
    for _ in range(COMMANDS // 10):
        await send()
    before_s = time.process_time()
    for _ in range(COMMANDS):
        await send()
    return (time.process_time() - before_s) / COMMANDS * 1e6


async def _valkey_us(client: Redis, command: str, send: Callable[[], Awaitable[Any]]) -> float:
    await send()
    await client.config_resetstat()
    for _ in range(LOOKS):
        await send()
    return float((await client.info("commandstats"))[f"cmdstat_{command}"]["usec_per_call"])


if __name__ == "__main__":
    with private_valkey() as started:
        asyncio.run(measure(started))
