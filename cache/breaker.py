"""A circuit breaker: after a failure nothing is sent for a while, then one caller alone tries again."""

import time
from datetime import timedelta
from typing import Final

FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 5.0


class BreakerOpen(Exception):
    """The server failed a moment ago; nothing was sent to it."""


class Breaker:
    """Closed until `failed`; then open for a pause that doubles up to LONGEST_PAUSE_S while probes go on failing."""

    def __init__(self) -> None:
        self._pause_s = 0.0
        self._open_until_s = 0.0
        self._probing = False

    @property
    def state(self) -> str:
        """closed, open or half-open, for whoever shows it."""
        if not self._pause_s:
            return "closed"
        return "open" if time.monotonic() < self._open_until_s else "half-open"

    def enter(self) -> None:
        """Ask to send something; raises BreakerOpen when it should not be tried."""
        if not self._pause_s:
            return
        if self._probing or time.monotonic() < self._open_until_s:
            raise BreakerOpen
        self._probing = True

    def succeeded(self) -> None:
        """What was sent was answered."""
        self._pause_s = 0.0
        self._probing = False

    def failed(self) -> None:
        """What was sent was not answered."""
        probed, self._probing = self._probing, False
        if probed or not self._pause_s:
            self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        self._open_until_s = time.monotonic() + self._pause_s

    @property
    def pause(self) -> timedelta:
        """How long nothing is sent after the last failure."""
        return timedelta(seconds=self._pause_s)
