"""What everything that one request read depends on: the union of its tickets, good for a check of the whole later."""

from itertools import chain
from typing import cast

from cache.reading import Ticket


class Dependencies:
    """Tags with their stamps under one fence; not whole when something was read that no stamp vouches for."""

    def __init__(self) -> None:
        self._fence: bytes | None = None
        self._stamps: dict[str, bytes] = {}
        self._whole = True
        self._added: list[Ticket | None] = []

    def add(self, ticket: Ticket | None) -> None:
        """Something was read with this ticket, or past the cache without one."""
        self._added.append(ticket)

    @property
    def fence(self) -> bytes | None:
        """The fence of all of it; None while nothing was read."""
        self._join()
        return self._fence

    @property
    def stamps(self) -> dict[str, bytes]:
        """The stamps of all of it; never changed in place, so it may be kept."""
        self._join()
        return self._stamps

    @property
    def storable(self) -> bool:
        """Whether what was made of it may be kept and checked by its stamps."""
        self._join()
        return self._whole and self._fence is not None

    def _join(self) -> None:
        """Only when it is asked for: most requests add several tickets and ask once."""
        if not self._added or not self._whole:
            return
        added, self._added = self._added, []
        parts = [self._stamps] if self._stamps else []
        for ticket in added:
            if ticket is None or ticket.unusable or self._fence not in (None, ticket.fence):
                self._whole = False
                break
            self._fence = ticket.fence
            parts.append(cast("dict[str, bytes]", ticket.stamps))  # none is missing: nothing is unusable
        if len(parts) == 1:
            [self._stamps] = parts
        else:
            self._stamps = dict(chain.from_iterable(part.items() for part in parts))
            # where two tell of one tag another stamp, the later has taken the place of the earlier
            self._whole &= all(part.items() <= self._stamps.items() for part in parts)
