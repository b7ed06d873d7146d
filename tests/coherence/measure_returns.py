"""`python -m tests.coherence.measure_returns`: how long the cache is off after a fault of Valkey's.

Two processes with a service and a drain each, below two Valkeys; eight people write 50 times a second through them, and
somebody asks each process all the time until both answer from the cache again. `WRITES_A_SECOND=0`: nobody writes.
"""

import asyncio
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Final

import structlog

from loaders.drain import drain_for_ever
from tests.coherence.valkey import private_valkey
from tests.kit.clock import Clock
from tests.kit.databases import leased_databases
from tests.kit.proxy import proxy_to
from tests.kit.small_company import HR, MUMBAI, NOW, fill_small_company
from tests.mutations.changing import location
from tests.responses.service import Service, open_service, status

PROCESSES: Final = 2
WRITERS: Final = 4
WRITES_A_SECOND: Final = float(os.environ.get("WRITES_A_SECOND", "50"))
TIMES: Final = int(os.environ.get("TIMES", "7"))
LOOK_S: Final = 0.02
HANG_S: Final = 1.0
CALM_S: Final = 1.0
"""The cache was used for so long before anything happens."""


async def _serve(url: str, redis_url: str) -> None:
    """One process: writes, drains, and prints a line whenever it begins or ceases to answer from the cache."""
    async with open_service(url, redis_url, Clock(NOW), prefix="returns", patience_ms="100", drains=False) as service:
        resources = service.resources
        work = [drain_for_ever(resources.database, resources.cache), _look(service)]
        if WRITES_A_SECOND:
            work += [_write(service, number) for number in range(WRITERS)]
        async with asyncio.TaskGroup() as tasks:
            for each in work:
                tasks.create_task(each)


async def _look(service: Service) -> None:
    known = ""
    while True:
        answer = await service.ask("{ shifts { name } }", HR)
        assert answer.status == 200 and "errors" not in answer.json, answer.body
        await service.settle()
        now = "hit" if status(answer) == "hit" else "off"
        if now != known:
            print(f"{time.monotonic():.3f} {now}", flush=True)
            known = now
        await asyncio.sleep(LOOK_S)


async def _write(service: Service, number: int) -> None:
    each_s = PROCESSES * WRITERS / WRITES_A_SECOND
    for name in range(1_000_000):
        begun_s = time.monotonic()
        await service.change("saveLocation", HR, id=location(MUMBAI), name=f"Mumbai {number} {name}")
        await asyncio.sleep(max(0.0, begun_s + each_s - time.monotonic()))


class Watched:
    """What the processes have said."""

    def __init__(self) -> None:
        self.last: dict[int, tuple[float, str]] = {}

    async def listen(self, number: int, said: IO[bytes]) -> None:
        """Until the process ends."""
        while line := await asyncio.to_thread(said.readline):
            at_s, state = line.decode().split()
            self.last[number] = float(at_s), state

    async def calm(self) -> None:
        """Until every process has answered from the cache for a while."""
        while len(self.last) < PROCESSES or any(
            state != "hit" or time.monotonic() < at_s + CALM_S for at_s, state in self.last.values()
        ):
            await asyncio.sleep(0.01)

    async def off_for_s(self, since_s: float) -> float:
        """From a moment until the last process answers from the cache again, and goes on to."""
        await asyncio.sleep(10 * LOOK_S)  # by now they have noticed
        async with asyncio.timeout(30):
            await self.calm()
        return max(0.0, max(at_s for at_s, _ in self.last.values()) - since_s)


@contextmanager
def processes(url: str, redis_url: str, watched: Watched) -> Iterator[None]:
    """The service."""
    command = [sys.executable, "-m", __spec__.name, url, redis_url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(PROCESSES)]
    listening = [
        asyncio.ensure_future(watched.listen(number, process.stdout))
        for number, process in enumerate(running)
        if process.stdout
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()
        for task in listening:
            task.cancel()


async def measure(url: str) -> None:
    """Print a line for each fault."""
    with private_valkey() as one, private_valkey() as two:
        async with proxy_to(one.path) as proxy:

            async def hang() -> None:
                one.freeze()
                await asyncio.sleep(HANG_S)
                one.freeze(on=False)

            async def fail_over() -> None:
                others.rotate()
                proxy.point_to(others[0].path)

            watched, others = Watched(), deque([one, two])
            with processes(url, f"redis://127.0.0.1:{proxy.port}", watched):
                await _strike(watched, "was killed and is back, empty", lambda: asyncio.to_thread(one.restart))
                await _strike(watched, f"hung for {HANG_S:.0f} s", hang)
                await _strike(watched, "was emptied", lambda: asyncio.to_thread(one.ask, "FLUSHALL"))
                await _strike(watched, "was replaced by another one", fail_over)


async def _strike(watched: Watched, what: str, fault: Callable[[], Awaitable[object]]) -> None:
    off_s = []
    for _ in range(TIMES):
        await watched.calm()
        await fault()
        off_s.append(await watched.off_for_s(time.monotonic()))
    times = " ".join(f"{each:.1f}" for each in sorted(off_s))
    print(f"Valkey {what}: the cache is off for {statistics.median(off_s):.1f} s (median) of {times}", flush=True)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if sys.argv[1:]:
        with suppress(KeyboardInterrupt):
            asyncio.run(_serve(*sys.argv[1:]))
    else:
        with leased_databases() as databases:
            asyncio.run(measure(databases.new("small_company", fill_small_company)))
