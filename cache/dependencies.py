"""What everything that one request read depends on: the union of its tickets, good for a check of the whole later."""

from typing import cast

from cache.reading import Ticket


class Dependencies:
    """Tags with their stamps under one fence; not `whole` when something was read that no stamp vouches for."""

    def __init__(self) -> None:
        self.fence: bytes | None = None
        self.stamps: dict[str, bytes] = {}
        self.whole = True

    def add(self, ticket: Ticket | None) -> None:
        """Something was read with this ticket, or past the cache without one."""
        if not self.whole:
            return
        if ticket is None or ticket.unusable or (self.fence is not None and self.fence != ticket.fence):
            self.whole = False
            return
        self.fence = ticket.fence
        known, stamps = self.stamps, cast("dict[str, bytes]", ticket.stamps)  # none is missing: nothing is unusable
        self.stamps = known | stamps
        self.whole = not known or self.stamps == stamps | known

    @property
    def storable(self) -> bool:
        """Whether what was made of it may be kept and checked by its stamps."""
        return self.whole and self.fence is not None
