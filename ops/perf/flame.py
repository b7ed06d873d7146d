"""Samples of what the workers run, taken by py-spy from outside, as stacks that can be added over processes."""

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
import psutil

from domain.errors import RollcallError

Stack = tuple[str, ...]
WAITING: Final = (
    "Runner.run (asyncio/runners.py)",
    "_worker (concurrent/futures/thread.py)",
    "_lines (cluster/child.py)",
)
"""The innermost frame of a thread that waits for work: the event loop's own code has no Python frame."""
_LINE: Final = re.compile(r":\d+\)")
_NOT_PERMITTED: Final = (
    "py-spy may not look into the workers (ptrace is not permitted): run it as root or as the workers' user with"
    " kernel.yama.ptrace_scope=0; in a container add the capability SYS_PTRACE"
)


class CannotSample(RollcallError):
    """No samples can be taken; the message says what is missing."""


class Samples(msgspec.Struct, frozen=True):
    """Stacks from the outermost frame to the innermost, with how often each was seen; `waiting` were left out."""

    stacks: Mapping[Stack, int]
    waiting: int
    processes: int
    seconds: float

    @property
    def total(self) -> int:
        """How many samples there are."""
        return sum(self.stacks.values())


def sampled(pids: Sequence[int], seconds: int, per_second: int, *, waiting: bool = False) -> Samples:
    """Sample all processes at the same time."""
    program = _py_spy()
    gone = [pid for pid in pids if not psutil.pid_exists(pid)]
    if gone or not pids:
        raise CannotSample(
            f"the workers {gone or 'of the status port'} are not on this machine: run perf flame where they are"
        )
    with tempfile.TemporaryDirectory(prefix="rollcall-flame-") as folder, ExitStack() as stack:
        running = []
        for pid in pids:
            output = Path(folder) / str(pid)
            command = [program, "record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(per_second)]
            command += ["--format", "raw", "--output", str(output), *(["--idle"] if waiting else [])]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            running.append((stack.enter_context(process), output))
        lines: list[str] = []
        for process, output in running:
            _, said = process.communicate()
            if process.returncode != 0:
                raise CannotSample(_reason(said))
            lines += output.read_text().splitlines() if output.exists() else []
    return merged(lines, len(pids), seconds, waiting=waiting)


def merged(lines: Iterable[str], processes: int, seconds: float, *, waiting: bool = False) -> Samples:
    """py-spy's lines, `frame;frame;... number`, of all processes; lines of code of one function become one frame."""
    stacks: Counter[Stack] = Counter()
    idle = 0
    for line in lines:
        frames, _, number = line.rpartition(" ")
        stack = tuple(_LINE.sub(")", frame) for frame in frames.split(";"))
        if not waiting and stack[-1] in WAITING:
            idle += int(number)
        else:
            stacks[stack] += int(number)
    return Samples(stacks, idle, processes, seconds)


def _py_spy() -> str:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise CannotSample("py-spy is not installed: pip install 'rollcall[perf]'")
    return found


def _reason(said: str) -> str:
    lower = said.lower()
    if "permission denied" in lower or "operation not permitted" in lower or "eperm" in lower:
        return _NOT_PERMITTED
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("py-spy>")]
    return f"py-spy failed: {lines[0].removeprefix('Error: ')}" if lines else "py-spy failed and did not say why"
