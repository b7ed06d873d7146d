"""What a reader finds in the cache, and the right to store what it then reads: the stamps from before."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Final, Generic, TypeVar

import msgspec

from cache.progress import Needed
from telemetry.counters import count

K = TypeVar("K")
V = TypeVar("V")

HELD: Final = b"!"

decode_entry: Final = msgspec.msgpack.Decoder(tuple[bytes, list[bytes], msgspec.Raw, msgspec.Raw]).decode
"""(fence, stamps, bytes of the value, bytes of the key) of an entry."""


class Ticket:
    """The right to store what is read from now on: the fence and the stamps as they were before."""

    __slots__ = ("fence", "held", "stamps", "unusable")

    def __init__(self, fence: bytes, stamps: Mapping[str, bytes | None]) -> None:
        self.fence = fence
        self.stamps = stamps
        self.held = {tag for tag, stamp in stamps.items() if stamp is not None and HELD in stamp}
        self.unusable = self.held.union(self.bare(stamps))

    def bare(self, tags: Iterable[str]) -> set[str]:
        """Those of the tags that have no stamp."""
        return {tag for tag in tags if self.stamps[tag] is None}

    def stamps_of(self, tags: Sequence[str]) -> list[bytes] | None:
        """The stamps of what depends on these tags; None when it must not be stored."""
        if self.unusable and not self.unusable.isdisjoint(tags):
            return None
        return [self.stamps[tag] for tag in tags]  # type: ignore[misc]  # none of these is None


class Reading(Generic[K, V]):
    """What the cache knows of some keys; `ticket` is None when what is loaded now must not be stored.

    `early` are hits that should be made anew, since their life is about to end; `bypass` is why nothing was looked at,
    `held` how many misses must not be stored because a write of them is under way.
    `needed` is what a replica must have to be asked for the misses, None when that is not known for certain.
    With a ticket there are the name and the tags of each key's entry.
    """

    __slots__ = ("bypass", "early", "held", "hits", "misses", "names", "needed", "tags", "ticket")

    def __init__(
        self, hits: dict[K, V | None], misses: list[K], ticket: Ticket | None, needed: Needed | None = None
    ) -> None:
        self.hits = hits
        self.misses = misses
        self.ticket = ticket
        self.needed = needed
        self.early: list[K] = []
        self.bypass = ""
        self.held = 0
        self.names: Mapping[K, str] = {}
        self.tags: Mapping[K, tuple[str, ...]] = {}

    def note_unusable(self) -> None:
        """Count the misses that must not be stored, and why."""
        if self.ticket is None or not self.ticket.unusable:
            return
        held = self.ticket.held
        self.held = sum(not held.isdisjoint(self.tags[key]) for key in self.misses)
        count("cache_bypasses", "held", self.held)
        wanted = {tag for key in self.misses for tag in self.tags[key]}
        count("cache_bypasses", "unclaimed", len(self.ticket.bare(wanted)))

    def bypasses(self) -> list[tuple[str, int]]:
        """Why keys went past the cache, and how many."""
        found = [(self.bypass, len(self.misses)), ("held", self.held)]
        return [(reason, number) for reason, number in found if reason and number]

    def only(self, misses: list[K]) -> "Reading[K, V]":
        """The same reading with no hits and fewer misses."""
        found = copy(self)
        found.hits, found.misses = {}, misses
        return found


def dependencies(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags themselves and the tables that they belong to, which a change of many rows touches instead."""
    return tuple(dict.fromkeys([*tags, *[tag.partition(".")[0] for tag in tags]]))


def payload(entry: bytes | None, fence: bytes, now: list[bytes | None]) -> bytes | None:
    """The bytes of an entry's value while fence and stamps are those that it was stored with, and none is held."""
    if entry is None:
        return None
    stored_fence, stored, value, _ = decode_entry(entry)
    if stored_fence != fence or stored != now or any(HELD in stamp for stamp in stored):
        return None
    return bytes(value)
