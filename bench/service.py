"""The real service under measurement: `python server.py` on free ports, its workers' processor time, and its client."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import psutil

from bench.client import Job, Outcome
from bench.ground import BenchFailed
from ops.demo import DEMO_PASSWORD

CHECKOUT: Final = Path(__file__).parents[1]
USER: Final = "hr@rollcall.test"
WORKER_READY: Final = re.compile(rb"worker \d+ is ready")
START_LIMIT_S: Final = 120.0
_PROCESS_CLOCK: Final = 2  # CPUCLOCK_SCHED: Linux makes the id of another process's clock from its pid


class Service:
    """A running service."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, status_port: int) -> None:
        self.port = port
        self.status_port = status_port
        self._process = psutil.Process(process.pid)
        self.workers = self._workers()

    def cpu_s(self) -> tuple[float, ...]:
        """User and system time of each worker: utime + stime, from the kernel's clock in nanoseconds."""
        if self._workers() != self.workers:
            raise BenchFailed("a worker was replaced while it was measured")
        return tuple(_cpu_s(pid) for pid in self.workers)

    def _workers(self) -> tuple[int, ...]:
        children = self._process.children(recursive=True)
        return tuple(sorted(child.pid for child in children if ": worker " in " ".join(child.cmdline())))

    def token(self) -> str:
        """Sign in as the demo's HR, who sees everybody."""
        form = {"grant_type": "password", "username": USER, "password": DEMO_PASSWORD}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/auth/token", urllib.parse.urlencode(form).encode()
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])


class ClientProcess:
    """The client, which runs beside the service and is told what to do."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, job: Job) -> Outcome:
        """Do a job; raises BenchFailed when an answer has errors."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(job).decode() + "\n")
        self._process.stdin.flush()
        outcome = msgspec.json.decode(self._process.stdout.readline() or "null", type=Outcome | None)
        if outcome is None or outcome.wrong is not None:
            raise BenchFailed(f"the service answered {outcome.wrong if outcome else 'not at all'}")
        return outcome


@contextmanager
def serving(
    environment: Mapping[str, str], log: Path, workers: int | None, program: Sequence[str] = ("server.py",)
) -> Iterator[Service]:
    """Start the service, or another program on our supervisor, and stop it; what it says goes to `log`."""
    port, status_port = _free_port(), _free_port()
    given = {**environment, "PORT": str(port), "STATUS_PORT": str(status_port)}
    if workers:
        given["CLUSTER_WORKERS"] = str(workers)
    with log.open("wb") as said:
        process = subprocess.Popen([sys.executable, *program], cwd=CHECKOUT, env=given, stdout=said, stderr=said)
    try:
        _wait_until_ready(process, port, log, workers or os.cpu_count() or 1)
        yield Service(process, port, status_port)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def client(port: int, token: str) -> Iterator[ClientProcess]:
    """Start the client and stop it."""
    command = [sys.executable, "-m", "bench.client", str(port), token]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield ClientProcess(process)
        assert process.stdin is not None
        process.stdin.close()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path, workers: int) -> None:
    """Until every worker serves: the first answers come while the others still load."""
    deadline = time.monotonic() + START_LIMIT_S
    while len(WORKER_READY.findall(log.read_bytes())) < workers or not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise BenchFailed(f"the service did not start:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | _PROCESS_CLOCK)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
