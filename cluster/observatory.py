"""The status port's view of the cluster: the latest snapshot, and the sums of the last minutes to compare it with."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from cluster.sums import Sums, added, subtracted

WINDOW: Final = timedelta(seconds=60)
"""What rates and percentiles are about."""
RECENT: Final = timedelta(seconds=10)
"""What a point of the page's curves is about."""
MOST_POINTS: Final = 300
MOST_SLOW: Final = 200


class Seen(NamedTuple):
    """The sums of the whole cluster, and the processor time of each process, at a moment."""

    at_s: float
    sums: Sums
    cpu_s_by_pid: Mapping[int, float]


class Observatory:
    """Takes snapshots in, answers what happened within a window."""

    def __init__(self, versions: Mapping[str, str]) -> None:
        self.versions = versions
        self.servers: Mapping[str, Any] = {}
        """What the probe says about PostgreSQL and Redis."""
        self.snapshot: Mapping[str, Any] = {"processes": [], "lives": [], "answers": {}, "departed": {}}
        self.heard_s = 0.0
        self.points: deque[Mapping[str, Any]] = deque(maxlen=MOST_POINTS)
        self.slow: deque[Mapping[str, Any]] = deque(maxlen=MOST_SLOW)
        self._news = asyncio.Event()
        self._slow_numbers: dict[int, int] = {}
        self._seen: deque[Seen] = deque(maxlen=round(WINDOW.total_seconds()) + 5)

    def take(self, line: str) -> None:
        """A snapshot came, as the supervisor sends it."""
        self.snapshot = json.loads(line)
        self.heard_s = time.monotonic()
        reports = self.snapshot["processes"]
        total = added((self.snapshot["departed"], *(report.get("sums", {}) for report in reports)))
        cpu = {report["pid"]: report["cpu_s"] for report in reports if "cpu_s" in report}
        self._seen.append(Seen(self.heard_s, total, cpu))
        for report in reports:
            self._remember_slow(report)
        self._news.set()
        self._news = asyncio.Event()

    async def news(self) -> None:
        """Wait for the next snapshot."""
        await self._news.wait()

    @property
    def workers(self) -> list[Mapping[str, Any]]:
        """The living workers, by their last report."""
        return [report for report in self.snapshot["processes"] if report["role"] == "worker"]

    @property
    def total(self) -> Sums:
        """Everything that was counted since the service started."""
        return self._seen[-1].sums if self._seen else {}

    def within(self, window: timedelta) -> tuple[Sums, float]:
        """What was counted within the window, and how many seconds of it there are."""
        if not self._seen:
            return {}, 0.0
        before, now = self._at(window), self._seen[-1]
        return subtracted(now.sums, before.sums), now.at_s - before.at_s

    def cpu_share(self, pid: int) -> float:
        """How much of a processor a process used lately; nothing is known of what it used before its first report."""
        since_s = self._seen[-1].at_s - RECENT.total_seconds() - 0.5 if self._seen else 0.0
        seen = [(seen.at_s, seen.cpu_s_by_pid[pid]) for seen in self._seen if pid in seen.cpu_s_by_pid]
        recent = [view for view in seen if view[0] >= since_s]
        if len(recent) < 2:
            return 0.0
        (before_s, used_before_s), (now_s, used_s) = recent[0], recent[-1]
        return (used_s - used_before_s) / max(now_s - before_s, 1.0)

    def _at(self, window: timedelta) -> Seen:
        """The oldest view that lies within the window, at least the one before the latest."""
        start_s = self._seen[-1].at_s - window.total_seconds() - 0.5
        return next(seen for seen in self._seen if seen.at_s >= start_s)

    def _remember_slow(self, report: Mapping[str, Any]) -> None:
        """Reports repeat the latest slow statements; each is kept once, also when its process dies."""
        known = self._slow_numbers.get(report["pid"], 0)
        for statement in report.get("slow", ()):
            if statement["number"] > known:
                self.slow.append({**statement, "process": report["name"]})
                self._slow_numbers[report["pid"]] = statement["number"]
        if len(self._slow_numbers) > MOST_SLOW:
            del self._slow_numbers[next(iter(self._slow_numbers))]
