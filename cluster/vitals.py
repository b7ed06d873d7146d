"""The pulse of a process: once a second what it did and how it feels, for the supervisor."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from cluster.child import Report

_SAMPLE_S: Final = 0.1
_SAMPLES_PER_REPORT: Final = 10


async def beat(report: Report, facts: Callable[[], Mapping[str, object]]) -> None:
    """Report for ever: loop lag, processor time, memory and the process's own `facts`."""
    while True:
        lag_s = 0.0
        for _ in range(_SAMPLES_PER_REPORT):
            due_s = time.monotonic() + _SAMPLE_S
            await asyncio.sleep(_SAMPLE_S)
            lag_s = max(lag_s, time.monotonic() - due_s)
        report.send(
            event_loop_lag_ms=round(lag_s * 1000, 1),
            cpu_s=round(time.process_time(), 3),
            rss_bytes=resident_bytes(),
            **facts(),
        )


def resident_bytes() -> int:
    """Memory that the process holds, 0 where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
