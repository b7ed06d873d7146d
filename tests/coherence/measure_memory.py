"""`python -m tests.coherence.measure_memory --writes 1000000`: the memory of Valkey while tags are held and released.

Transactions change a hundred employees each, which counts as a hundred writes: their tags are held and released, and a
reader stores an entry of each again. After each tenth the bytes that Valkey uses are printed, and its keys.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from cache.policy import Policy
from cache.second_level import FENCE_LIFE, Fence, SecondLevelCache
from cache.server import Server
from tests.coherence.valkey import private_valkey

EMPLOYEES: Final = 2_000
TOGETHER: Final = 100
PATIENCE: Final = timedelta(seconds=10)
POLICY: Final[Policy[int, str]] = Policy(
    "day", str, "attendance", lambda key: (f"attendance_day.employee_id={key}&month=2026-03", f"employee.id={key}")
)


async def write(cache: SecondLevelCache, number: int, employees: Sequence[int]) -> None:
    """One transaction, and one reader after it."""
    tags = [tag for employee in employees for tag in POLICY.tags(employee)]
    held = await cache.hold(f"1-{number}", tags, await cache.home())
    assert held, "Redis refused a hold"
    await cache.release(f"1-{number}", tags)
    reading = await cache.read(POLICY, employees)
    cache.fill_later(POLICY, reading, dict.fromkeys(employees, f"{number:0>200}"))


async def renew(cache: SecondLevelCache) -> None:
    """Keep the fence alive."""
    assert cache.server is not None
    while True:
        run_id, now_ms = await cache.server.clock_ms()
        await cache.renew(Fence(run_id, 1, "", now_ms), "1", [])
        await asyncio.sleep(FENCE_LIFE.total_seconds() / 4)


async def measure(writes: int, seed: int, told: Callable[[int, int, int], None]) -> None:
    """Write, and tell (writes so far, bytes, keys) after each tenth; the first is told once every tag was written."""
    chosen = random.Random(seed)
    with private_valkey() as valkey, valkey.client as client:
        cache = SecondLevelCache(Server(f"unix://{valkey.path}", PATIENCE), "test")
        fence = asyncio.create_task(renew(cache))
        try:
            everyone = range(EMPLOYEES)
            for start in range(0, EMPLOYEES, TOGETHER):
                await write(cache, start, everyone[start : start + TOGETHER])
            for tenth in range(11):
                await cache.settle()
                told(tenth * writes // 10, client.info("memory")["used_memory"], client.dbsize())
                for number in range(writes // 10 // TOGETHER if tenth < 10 else 0):
                    await write(cache, number, chosen.sample(everyone, TOGETHER))
        finally:
            fence.cancel()
            await asyncio.wait({fence})
            await cache.close()


def main() -> None:
    """Print a line a tenth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writes", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    started_s = time.perf_counter()

    def told(done: int, used_bytes: int, keys: int) -> None:
        seconds = time.perf_counter() - started_s
        print(f"{done:>9,} writes  {used_bytes / 2**20:6.2f} MiB  {keys:,} keys  {seconds:5.0f} s", flush=True)

    asyncio.run(measure(given.writes, given.seed, told))


if __name__ == "__main__":
    main()
