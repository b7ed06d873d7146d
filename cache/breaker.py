"""A circuit breaker: after a failure nothing is sent for a while, then one caller alone tries again.

That is the drain, or a writer, which would have to wait longer without Redis. Who only reads waits for no try, except
where nobody else has tried for long: a drain may be waiting for its database.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from cache.outage import Outage

FIRST_PAUSE_S: Final = 0.3
LONGEST_PAUSE_S: Final = 1.0
UNTRIED_S: Final = 5.0
"""After a pause nobody has tried for so long: twenty ticks of the drain."""


class BreakerOpen(Exception):
    """The server failed a moment ago; nothing was sent to it."""


class Breaker:
    """Closed until an attempt fails; then open for a pause that doubles up to LONGEST_PAUSE_S while probes fail."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._outage = Outage(clock_s)
        self._pause_s = 0.0
        self._open_until_s = 0.0
        self._probing = False
        self._attempt, self._probe = _Attempt(self, probe=False), _Attempt(self, probe=True)

    @property
    def state(self) -> str:
        """closed, open or half-open, for whoever shows it."""
        if not self._pause_s:
            return "closed"
        return "open" if self._clock_s() < self._open_until_s else "half-open"

    def attempt(self, *, tries_again: bool = True) -> AbstractContextManager[None]:
        """Around something that is sent; raises BreakerOpen when it should not be.

        Who does not try again is refused until somebody else had an answer, unless nobody tries. An exception that
        leaves it is a failure. A cancelled attempt says nothing about the server.
        """
        if not self._pause_s:
            return self._attempt
        if self._probing or self._clock_s() < self._open_until_s + (0.0 if tries_again else UNTRIED_S):
            raise BreakerOpen
        self._probing = True
        return self._probe

    def ended(self, error: BaseException | None, *, probe: bool) -> None:
        """Called by an attempt."""
        if error is None:
            self._answered()
        elif isinstance(error, Exception):
            self._failed(probe, error)
        if probe:
            self._probing = False

    def _answered(self) -> None:
        if self._pause_s:
            self._pause_s = 0.0
            self._outage.ends()

    def _failed(self, probe: bool, error: Exception) -> None:
        """What was sent before the breaker opened may fail late; only a probe makes the pause longer."""
        if not self._pause_s:
            self._outage.begins(error)
        if probe or not self._pause_s:
            self._pause_s = min(max(self._pause_s * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S)
            self._open_until_s = self._clock_s() + self._pause_s


class _Attempt:
    """Tells the breaker how it ended; it holds nothing, so all attempts share one, and the probes another."""

    __slots__ = ("_breaker", "_is_probe")

    def __init__(self, breaker: Breaker, *, probe: bool) -> None:
        self._breaker = breaker
        self._is_probe = probe

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._breaker.ended(error, probe=self._is_probe)
