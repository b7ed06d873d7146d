"""How many tags the writers of this process hold now, for whoever looks on: readers ask Redis itself.

It is counted here, since Redis has no list of holds to count: a hold is part of the stamp that it is on.
"""

import time
from collections.abc import Callable
from typing import Final

from cache.second_level import HOLD_LIFE


class HeldTags:
    """Holds that were made and not ended; one of a COMMIT whose outcome is unknown ends with its life."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._holds: dict[str, tuple[float, int]] = {}

    def begin(self, xid: str, tags: int) -> None:
        """A writer holds so many tags."""
        self._drop_lapsed()
        self._holds[xid] = self._clock_s() + HOLD_LIFE.total_seconds(), tags

    def end(self, xid: str) -> None:
        """It let them go."""
        self._holds.pop(xid, None)

    def number(self) -> int:
        """Tags that are held now; one that several writers hold counts for each."""
        self._drop_lapsed()
        return sum(tags for _, tags in self._holds.values())

    def _drop_lapsed(self) -> None:
        """Those that were made first lapse first."""
        now_s = self._clock_s()
        while self._holds and (oldest := next(iter(self._holds.items())))[1][0] <= now_s:
            del self._holds[oldest[0]]


held_tags: Final = HeldTags()
"""Of this process."""
