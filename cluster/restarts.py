"""When a dead process may be replaced: pure arithmetic over the times of its group's deaths."""

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass
class RestartBudget:
    """At most `limit` replacements within `window`; the wait before each grows so that nothing loops hot."""

    limit: int
    window: timedelta
    delay: timedelta
    _deaths_s: deque[float] = field(default_factory=deque)

    def wait_after_death(self, now_s: float, *, was_ready: bool) -> timedelta | None:
        """How long to wait before replacing the process that died now; None when the limit is reached.

        The first death of a process that had served is answered at once. Growth stops where a process that always dies
        still reaches the limit within the window: with endless doubling the window would forget its deaths.
        """
        self._forget(now_s)
        self._deaths_s.append(now_s)
        count = len(self._deaths_s)
        if count > self.limit:
            return None
        if was_ready and count == 1:
            return timedelta(0)
        longest = max(self.delay, self.window / (2 * self.limit))
        return min(longest, self.delay * 2.0 ** min(count - (2 if was_ready else 1), 30))

    def wait_until_allowed(self, now_s: float) -> timedelta:
        """How long until a replacement is within the limit again."""
        self._forget(now_s)
        if len(self._deaths_s) <= self.limit:
            return timedelta(0)
        oldest_s = self._deaths_s[len(self._deaths_s) - self.limit - 1]
        return timedelta(seconds=oldest_s - now_s) + self.window

    def _forget(self, now_s: float) -> None:
        while self._deaths_s and now_s - self._deaths_s[0] >= self.window.total_seconds():
            self._deaths_s.popleft()
