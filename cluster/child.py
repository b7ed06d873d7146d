"""What every process of the cluster does besides its work: obey the supervisor, report to it, and never outlive it.

Its standard input comes from the supervisor: first a line of JSON with environment variables, then commands, one a
line; its end means that the supervisor is gone. Reports go to the supervisor as lines of JSON through a pipe. The
supervisor's side is process.py.
"""

import asyncio
import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from setproctitle import setproctitle

from cluster.journal import journal, open_journal

EXIT_CANNOT_START: Final = 78
"""Exit code (sysexits' EX_CONFIG) of a process that would fail again: wrong settings, code that does not import."""

ON_TRIAL: Final = "CLUSTER_ON_TRIAL"
"""In the environment of a process that is to take the place of a living one."""

ORPHAN_LIMIT: Final = timedelta(seconds=2)
"""How long a process whose supervisor died may take to finish what it is doing."""

SUPERVISOR_SIGNALS: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU)
"""Signals that a terminal or an operator may send to the whole process group, and that only the supervisor answers.

A process is started with them blocked and ignores them as soon as it can: Ctrl-C never meets a half-imported one.
"""

_PR_SET_PDEATHSIG: Final = 1
_LINE_LIMIT: Final = 65_536


class Command(StrEnum):
    """What the supervisor can ask for."""

    LEAVE = "leave"
    """Another process takes over: finish every connection in good order."""
    STOP = "stop"
    """The service ends: finish what is in flight."""


class Report:
    """The pipe to the supervisor; while it is full, reports are dropped."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def send(self, **facts: object) -> None:
        """Send one line of JSON."""
        self.flush()
        if not self._rest:
            self._rest = json.dumps(facts, separators=(",", ":")).encode() + b"\n"
            self.flush()

    def flush(self) -> None:
        """Send what did not fit into the pipe: it takes 64 KiB at once."""
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            while self._rest:
                self._rest = self._rest[os.write(self._fd, self._rest) :]


def begin(title: str, report_fd: int) -> Report:
    """Take the name shown by `ps`, leave Ctrl-C to the supervisor, ask the kernel for a signal when it dies."""
    open_journal()
    setproctitle(f"rollcall: {title}")
    for number in SUPERVISOR_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISOR_SIGNALS)
    die_with_parent(signal.SIGTERM)
    os.set_blocking(report_fd, False)
    os.set_inheritable(report_fd, False)
    return Report(report_fd)


def die_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send a signal when the parent dies (Linux; elsewhere the end of standard input has to do)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal)


def _lines() -> Iterator[str]:
    """Lines of standard input, read past Python's buffer: a thread blocked in it would break the interpreter's exit."""
    rest = b""
    while data := os.read(0, _LINE_LIMIT):
        *lines, rest = (rest + data).split(b"\n")
        yield from (line.decode() for line in lines)


class Orders:
    """What the supervisor sends: first the environment, which is taken over at once, then commands."""

    def __init__(self) -> None:
        self._lines = _lines()
        environment = next(self._lines, None)
        if environment is None:
            sys.exit(0)  # the supervisor changed its mind
        os.environ.update(json.loads(environment))

    def obey(self, handle: Callable[[Command], None], inform: Callable[[str], None] = lambda _: None) -> None:
        """Call `handle` in the running loop for each command and for SIGTERM; without a supervisor, end soon.

        `inform` is called for lines of JSON: how the other processes are, for one that watches.
        """
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, handle, Command.STOP)

        def listen() -> None:
            for line in self._lines:
                if line.startswith("{"):
                    loop.call_soon_threadsafe(inform, line)
                else:
                    loop.call_soon_threadsafe(handle, Command(line))
            with contextlib.suppress(RuntimeError):  # the loop may be closed already
                loop.call_soon_threadsafe(handle, Command.STOP)
            time.sleep(ORPHAN_LIMIT.total_seconds())
            os._exit(1)

        threading.Thread(target=listen, name="supervisor", daemon=True).start()


def load(target: str) -> Any:
    """The object that "module:name" names."""
    module, _, name = target.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in name.split("."):
        found = getattr(found, attribute)
    return found


def fail(title: str, error: BaseException, code: int = EXIT_CANNOT_START) -> int:
    """Say in one line why the process cannot start (with LOG_LEVEL=debug also where) and return the exit code."""
    if os.environ.get("LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(error)
    message = str(error).strip() or type(error).__name__
    journal.error("%s cannot start: %s%s", title, message, _place(error))
    return code


def _place(error: BaseException) -> str:
    """Where an error of the program came from; nothing for an error whose message says all."""
    if not isinstance(error, ImportError | SyntaxError | AttributeError | TypeError | NameError | KeyError):
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "importlib" not in frame.filename]
    return f" ({type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
