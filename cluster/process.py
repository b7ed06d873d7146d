"""One process of the cluster as the supervisor sees it: started, ready, reporting, told to go, dead.

The process's own side is child.py.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from cluster.child import ON_TRIAL, ORPHAN_LIMIT, SUPERVISOR_SIGNALS, Command

_AFTER_DRAIN: Final = timedelta(seconds=5)
"""What a process may take beyond its drain to close pools and the interpreter."""

_REPORT_LIMIT: Final = 1 << 20


@dataclass(frozen=True)
class Role:
    """A kind of process: `python -m <module> NAME REPORT_FD <arguments>`; it may need the listening socket.

    One that `watches` is told every second how the others are, and may pass on what an operator asks for.
    """

    name: str
    module: str
    arguments: tuple[str, ...] = ()
    pass_fds: tuple[int, ...] = ()
    numbered: bool = False
    watches: bool = False


def worker_role(listener: socket.socket, target: str, preload: Sequence[str] = ()) -> Role:
    """The role of the HTTP workers: `target` is the ASGI application, "module:attribute".

    The modules of `preload` are imported while the supervisor still prepares; they must not read the environment.
    """
    arguments = (str(listener.fileno()), target, *preload)
    return Role("worker", "cluster.worker", arguments, (listener.fileno(),), numbered=True)


def status_role(listener: socket.socket, probe: str) -> Role:
    """The role of the status port; `probe` names what looks after PostgreSQL and Redis, "module:attribute"."""
    fd = listener.fileno()
    return Role("status", "cluster.status_process", (str(fd), probe), (fd,), watches=True)


class Child:
    """A running process. `latest` is its last report; `ready` tells whether it got so far, once known.

    A child on trial is to take the place of a living one, and is not replaced when it never becomes ready.
    """

    def __init__(self, role: Role, slot: int, *, on_trial: bool = False) -> None:
        self.role = role
        self.slot = slot
        self.on_trial = on_trial
        self.on_order: Callable[[Mapping[str, Any]], None] | None = None
        self.configured = False
        self.name = f"{role.name} {slot}" if role.numbered else role.name
        self.latest: Mapping[str, Any] = {}
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.expected_to_go = False
        self.not_renewed_before_s = 0.0
        self.heard_s = time.monotonic()
        self.began = time.time()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; it imports its code and then waits for its environment."""
        reports, reports_end = os.pipe()
        try:
            with _blocked(SUPERVISOR_SIGNALS):
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", self.role.module, self.name, str(reports_end), *self.role.arguments),
                    stdin=asyncio.subprocess.PIPE,
                    pass_fds=(reports_end, *self.role.pass_fds),
                )
        except BaseException:
            os.close(reports)
            raise
        finally:
            os.close(reports_end)
        self._listening = asyncio.create_task(self._listen(reports))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running.pid

    @property
    def became_ready(self) -> bool:
        """Whether it has ever been ready."""
        return self.ready.done() and self.ready.result()

    @property
    def lives(self) -> bool:
        """Whether the process has not ended."""
        return self._running.returncode is None

    @property
    def serves(self) -> bool:
        """Whether it is ready and nobody told it to go."""
        return self.became_ready and not self.expected_to_go and self.lives

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "start() comes first"
        return self._process

    def configure(self, environment: Mapping[str, str]) -> None:
        """Hand over what is not in our own environment, upon which the process begins its work."""
        self.configured = True
        self.heard_s = time.monotonic()
        self._tell(json.dumps({**environment, ON_TRIAL: "1"} if self.on_trial else dict(environment)))

    async def wait(self) -> int:
        """The exit code, once it is dead and its last report was read."""
        code = await self._running.wait()
        await self._listening
        return code

    async def leave(self, command: Command, limit: timedelta) -> None:
        """Tell it to go, and kill it when it takes longer than its drain may."""
        self.expected_to_go = True
        if not self.configured:
            self.kill()
        self._tell(command)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._running.wait(), (limit + ORPHAN_LIMIT + _AFTER_DRAIN).total_seconds())
        self.kill()
        await self.wait()

    def inform(self, line: str) -> None:
        """Tell it how the others are, unless it has not even read the last."""
        pipe = self._running.stdin
        if pipe is not None and self.configured and not pipe.transport.get_write_buffer_size():
            self._tell(line)

    def kill(self) -> None:
        """End it at once."""
        # not Process.kill: it polls first, and so takes the exit code from under asyncio (3.11), which then warns
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _tell(self, line: str) -> None:
        pipe = self._running.stdin
        assert pipe is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            pipe.write(line.encode() + b"\n")

    async def _listen(self, reports: int) -> None:
        reader = asyncio.StreamReader(_REPORT_LIMIT)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reports, "rb", 0)
        )
        try:
            async for line in reader:
                self.heard_s = time.monotonic()
                with contextlib.suppress(ValueError):  # cut where the pipe was full
                    self._take(json.loads(line))
        finally:
            transport.close()
            if not self.ready.done():
                self.ready.set_result(False)

    def _take(self, facts: dict[str, Any]) -> None:
        if facts.pop("ready", False) and not self.ready.done():
            self.ready.set_result(True)
        if isinstance(order := facts.pop("order", None), dict) and self.on_order is not None:
            self.on_order(order)
        self.latest = facts or self.latest


@contextlib.contextmanager
def _blocked(signals: Sequence[signal.Signals]) -> Iterator[None]:
    """Within it the signals wait, and a process started within it begins with them blocked."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def reason_of_death(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
