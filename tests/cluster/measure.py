"""What a rolling reload, scaling and a stop cost under load: python -m tests.cluster.measure [REQUESTS].

Prints for each step the answered and the failed requests and the longest wait, over HTTP/1.1 with kept and new
connections. The example application answers after 2 ms; nothing is retried.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from tests.cluster.conftest import ROOT, Cluster, free_port
from tests.cluster.load import Load, ask_once

Step = Callable[[Cluster], Awaitable[None]]


async def started() -> Cluster:
    """A cluster of two workers."""
    port, status_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cluster.run_example", str(port)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "CLUSTER_WORKERS": "2", "STATUS_PORT": str(status_port), "DRAIN_TIMEOUT": "10"},
    )
    cluster = Cluster(process, port, status_port)
    await cluster.ready(2)
    return cluster


async def reload(cluster: Cluster) -> None:
    left = len([line for line in cluster.lines if "has left" in line])
    done = len([line for line in cluster.lines if line.endswith("reloaded")])
    cluster.signal(signal.SIGHUP)
    await cluster.line("reloaded", done + 1)
    await cluster.line("has left", left + 2)


async def more_and_fewer(cluster: Cluster) -> None:
    cluster.signal(signal.SIGTTIN)
    await cluster.line("worker 3 is ready")
    cluster.signal(signal.SIGTTOU)
    await cluster.line("worker 3 has left")


async def kill_a_worker(cluster: Cluster) -> None:
    cluster.workers()[0].kill()
    await cluster.line("replaced in")
    await asyncio.sleep(2)


async def step(cluster: Cluster, name: str, work: Step, requests: int) -> None:
    waits: list[float] = []

    async def probe() -> None:
        while True:
            started_s = time.perf_counter()
            try:
                await ask_once(cluster.port, "/?sleep_s=0.002")
            except (OSError, asyncio.IncompleteReadError):
                continue
            waits.append(time.perf_counter() - started_s)
            await asyncio.sleep(0.01)

    probing = asyncio.create_task(probe())
    async with Load(cluster.port) as kept, Load(cluster.port, clients=4, keep_alive=False) as fresh:
        await work(cluster)
        while kept.total + fresh.total < requests:
            await asyncio.sleep(0.05)
    probing.cancel()
    failures = dict(kept.failures + fresh.failures)
    answered = kept.total + fresh.total
    print(f"{name:28} {answered:8,} answered  {sum(failures.values()):4} failed {failures or ''}"
          f"  longest wait {max(waits) * 1e3:.0f} ms")  # fmt: skip


async def main(requests: int) -> None:
    cluster = await started()
    await step(cluster, "two rolling reloads", twice(reload), requests)
    await step(cluster, "one worker more, one fewer", more_and_fewer, requests)
    await step(cluster, "kill -9 of a worker", kill_a_worker, requests)
    cluster.signal(signal.SIGTERM)
    await cluster.ended()


def twice(work: Step) -> Step:
    async def both(cluster: Cluster) -> None:
        await work(cluster)
        await work(cluster)

    return both


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000))
