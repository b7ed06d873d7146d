"""What everything that one request read depends on: the union of its tickets, good for a check of the whole later."""

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
        for tag, stamp in ticket.stamps.items():
            if stamp is None or self.stamps.setdefault(tag, stamp) != stamp:
                self.whole = False
                return

    @property
    def storable(self) -> bool:
        """Whether what was made of it may be kept and checked by its stamps."""
        return self.whole and self.fence is not None
