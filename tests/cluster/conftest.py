"""A supervisor as a real process, whose journal, children and end a test can wait for."""

import asyncio
import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

ROOT = Path(__file__).parents[2]
LIMIT_S = 30.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A running supervisor. `lines` is its journal so far."""

    limit_s = LIMIT_S

    def __init__(self, process: asyncio.subprocess.Process, port: int, status_port: int) -> None:
        self.process = process
        self.status_port = status_port
        self.port = port
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._news:
                self.lines.append(line.decode().rstrip())
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def line(self, pattern: str, times: int = 1) -> str:
        """The line at which `pattern` has come so many times."""

        def found() -> list[str]:
            return [line for line in self.lines if re.search(pattern, line)]

        try:
            async with asyncio.timeout(self.limit_s), self._news:
                await self._news.wait_for(lambda: len(found()) >= times)
        except TimeoutError:
            pytest.fail(f"{pattern!r} did not come {times} times:\n" + "\n".join(self.lines))
        return found()[times - 1]

    async def status_ready(self) -> None:
        """Wait until the status port has heard of workers that serve, and of the database."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                with contextlib.suppress(OSError, httpx2.HTTPError):
                    found = (await self.status("/cluster/stats")).json()
                    if (
                        found["workers"]
                        and all(worker["serves"] for worker in found["workers"])
                        and "database" in found
                    ):
                        return
                await asyncio.sleep(0.1)

    async def status(self, path: str, method: str = "GET", **options: Any) -> httpx2.Response:
        """Ask the status port."""
        async with httpx2.AsyncClient() as client:
            address = f"http://127.0.0.1:{self.status_port}{path}"
            return await client.request(method, address, timeout=LIMIT_S, **options)

    async def ready(self, workers: int) -> None:
        """Wait until so many workers were ever ready."""
        await self.line(r"worker \d+ is ready", workers)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ctrl_c(self) -> None:
        """SIGINT to the whole process group, as a terminal sends it."""
        os.killpg(self.process.pid, signal.SIGINT)

    def said(self) -> list[str]:
        """The journal without times and levels."""
        return [line.split(maxsplit=2)[2] for line in self.lines]

    async def ended(self) -> int:
        """The exit code; the journal is complete then."""
        async with asyncio.timeout(self.limit_s):
            code = await self.process.wait()
            await self._reading
        return code

    def workers(self) -> list[psutil.Process]:
        """The living worker processes."""
        return [p for p in self.processes() if "status" not in " ".join(p.cmdline())]

    def processes(self) -> list[psutil.Process]:
        """All living processes below the supervisor."""
        return [p for p in psutil.Process(self.process.pid).children() if p.status() != psutil.STATUS_ZOMBIE]


Start = Callable[..., Awaitable[Cluster]]


async def until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Poll a fact about other processes."""
    try:
        async with asyncio.timeout(limit_s):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"waited {limit_s:g} s in vain: {what}")


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts supervisors over the trivial application; variables are given by name."""
    clusters: list[Cluster] = []

    async def start_one(port: int | None = None, **variables: object) -> Cluster:
        port = free_port() if port is None else port
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.cluster.run_example", str(port)),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={
                **os.environ,
                "CLUSTER_WORKERS": "2",
                "STATUS_PORT": str(status_port := free_port()),
                **{name: str(value) for name, value in variables.items()},
            },
        )
        clusters.append(Cluster(process, port, status_port))
        return clusters[-1]

    yield start_one
    for cluster in clusters:
        if cluster.process.returncode is None:
            cluster.process.kill()
        await cluster.ended()
