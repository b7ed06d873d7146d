"""What a rolling reload, scaling and a stop cost under load: python -m tests.cluster.measure [REQUESTS [tls]].

Prints for each step the answered and the failed requests and the longest wait, over HTTP/1.1 with kept and new
connections and over HTTP/2, with "tls" all encrypted. The example application answers after 2 ms; nothing is retried.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.cluster.certificates import trusting, write_pair
from tests.cluster.conftest import ROOT, Cluster, free_port
from tests.cluster.load import Load, ask_once
from tests.cluster.test_http2 import Http2Client

Step = Callable[[Cluster], Awaitable[None]]


async def started(files: Mapping[str, str]) -> Cluster:
    """A cluster of two workers."""
    port, status_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.cluster.run_example", str(port)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "CLUSTER_WORKERS": "2", "STATUS_PORT": str(status_port), "DRAIN_TIMEOUT": "10", **files},
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


class Measured(NamedTuple):
    """What clients saw: answers over kept connections, new ones and HTTP/2, what failed, the longest wait."""

    answered: list[int]
    failures: Counter[str]
    longest_s: float


async def measured(cluster: Cluster, work: Step, requests: int, certificate: str | None = None) -> Measured:
    """Do the work under load, and go on until so many requests were answered."""
    plain, h2 = (trusting(certificate, alpn=alpn) if certificate else None for alpn in ("http/1.1", "h2"))
    streams = [Http2Client(cluster.port, h2) for _ in range(2)]
    waits: list[float] = []

    async def probe() -> None:
        while True:
            started_s = time.perf_counter()
            try:
                await ask_once(cluster.port, "/?sleep_s=0.002", plain)
            except (OSError, asyncio.IncompleteReadError):
                continue
            waits.append(time.perf_counter() - started_s)
            await asyncio.sleep(0.01)

    probing = asyncio.create_task(probe())
    running = [asyncio.create_task(client.run()) for client in streams]
    async with (
        Load(cluster.port, tls=plain) as kept,
        Load(cluster.port, clients=4, keep_alive=False, tls=plain) as fresh,
    ):
        loads = (kept, fresh, *streams)
        await work(cluster)
        while sum(load.answers.total() for load in loads) < requests:
            await asyncio.sleep(0.05)
        for client in streams:
            client.stopped = True
    await asyncio.gather(*running)
    probing.cancel()
    answered = [kept.total, fresh.total, sum(client.answers.total() for client in streams)]
    return Measured(answered, sum((load.failures for load in loads), Counter()), max(waits))


async def step(cluster: Cluster, name: str, work: Step, requests: int, certificate: str | None) -> None:
    found = await measured(cluster, work, requests, certificate)
    print(f"{name:28} {sum(found.answered):8,} answered {found.answered}  {found.failures.total():4} failed "
          f"{dict(found.failures) or ''}  longest wait {found.longest_s * 1e3:.0f} ms")  # fmt: skip


async def main(requests: int, *, tls: bool) -> None:
    with TemporaryDirectory() as folder:
        files = write_pair(Path(folder)) if tls else {}
        cluster, certificate = await started(files), files.get("TLS_CERT_FILE")
        await step(cluster, "two rolling reloads", twice(reload), requests, certificate)
        await step(cluster, "one worker more, one fewer", more_and_fewer, requests, certificate)
        await step(cluster, "kill -9 of a worker", kill_a_worker, requests, certificate)
        cluster.signal(signal.SIGTERM)
        await cluster.ended()


def twice(work: Step) -> Step:
    async def both(cluster: Cluster) -> None:
        await work(cluster)
        await work(cluster)

    return both


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000, tls="tls" in sys.argv[2:]))
