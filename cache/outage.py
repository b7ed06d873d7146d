"""Says in the log when Redis begins to fail and when it is back: two lines, however many requests meet it."""

import time
from collections.abc import Callable
from typing import Final

import structlog

QUIET_S: Final = 30.0
"""A Redis that comes and goes is reported no more often."""

log = structlog.get_logger("rollcall.cache")


class Outage:
    """Told of by the breaker; a process has one."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._began_s = 0.0
        self._reported_s = -QUIET_S
        self._reported = False
        self._unreported = 0

    def begins(self, error: BaseException) -> None:
        """The breaker opened because of `error`."""
        self._began_s = now_s = self._clock_s()
        if now_s - self._reported_s < QUIET_S:
            self._unreported += 1
            return
        self._reported_s, self._reported = now_s, True
        more = {"outages_not_reported": self._unreported} if self._unreported else {}
        self._unreported = 0
        log.warning(
            "Redis cannot be reached: answers come from PostgreSQL, slower, until it is back",
            reason=_first_line(error),
            **more,
        )

    def ends(self) -> None:
        """It answered again."""
        if self._reported:
            self._reported = False
            log.info("Redis is back", after_s=round(self._clock_s() - self._began_s, 1))


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0][:200] if lines else f"no answer in time ({type(error).__name__})"
