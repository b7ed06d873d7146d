"""Failed attempts counted by key in fixed windows, in the memory of this worker and never more than a bound."""

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from domain.errors import ClientError


class TooManyAttempts(ClientError):
    """A key has used up its attempts; it gets new ones in `retry_after_s` seconds."""

    code = "TOO_MANY_ATTEMPTS"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many failed attempts; try again in {retry_after_s} seconds")
        self.retry_after_s = retry_after_s


class Window(msgspec.Struct):
    """The attempts of a key since its window opened (Unix time)."""

    opened_at_s: int
    attempts: int = 0


class Throttle:
    """Counts attempts when they begin, so that a burst at one moment is held to the limit as well.

    With W workers a key has up to W times its limit; when there are too many keys the oldest are forgotten.
    """

    def __init__(self, *, window: timedelta = timedelta(minutes=5), most_keys: int = 20_000) -> None:
        self._window_s = int(window.total_seconds())
        self._most_keys = most_keys
        self._window_by_key: OrderedDict[str, Window] = OrderedDict()

    def begin(self, limit_by_key: Mapping[str, int], now: datetime) -> None:
        """Count one attempt for every key, or none when one of them has reached its limit."""
        now_s = int(now.timestamp())
        windows = {key: self._window(key, now_s) for key in limit_by_key}
        waits = [
            window.opened_at_s + self._window_s - now_s
            for key, window in windows.items()
            if window.attempts >= limit_by_key[key]
        ]
        if waits:
            raise TooManyAttempts(max(waits))
        for window in windows.values():
            window.attempts += 1

    def take_back(self, limit_by_key: Mapping[str, int]) -> None:
        """The attempt did not fail."""
        for key in limit_by_key:
            window = self._window_by_key.get(key)
            if window and window.attempts:
                window.attempts -= 1

    def _window(self, key: str, now_s: int) -> Window:
        window = self._window_by_key.get(key)
        if window is None or now_s >= window.opened_at_s + self._window_s:
            self._window_by_key.pop(key, None)
            window = self._window_by_key[key] = Window(now_s)
            if len(self._window_by_key) > self._most_keys:
                self._window_by_key.popitem(last=False)
        return window
