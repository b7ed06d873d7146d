"""What a reader finds in the cache, and the right to store what it then reads: the stamps from before."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from itertools import chain
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from cache.policy import Policy, encode
from cache.progress import LastFence, Needed, Sight, needed_of
from cache.server import Answer
from telemetry.counters import count

K = TypeVar("K")
V = TypeVar("V")

HELD: Final = b"!"
NONE: Final[frozenset[str]] = frozenset()

decode_entry: Final = msgspec.msgpack.Decoder(tuple[bytes, list[bytes], msgspec.Raw, msgspec.Raw]).decode
"""(fence, stamps, bytes of the value, bytes of the key) of an entry."""


class Asked(NamedTuple):
    """What a look asks Redis for; `stamps` are those of the names that must not be found missing."""

    names: list[str]
    stamps: list[str]


class Foundation(NamedTuple):
    """Names in Redis with the values that they must have, and the server that must say so."""

    names: list[str]
    values: list[bytes]
    run_id: str


class Seen(NamedTuple):
    """What a look has found under its names, all in one moment, and where: good for whoever began before it.

    `last_fence` is what was known of the fence before it.
    """

    run_id: str
    values: Mapping[str, bytes | None]
    last_fence: LastFence | None


def together(asked: Sequence[Asked]) -> Asked:
    """All of it at once."""
    if len(asked) == 1:
        return asked[0]
    names, stamps = zip(*asked, strict=True)
    return Asked(list(chain.from_iterable(names)), list(chain.from_iterable(stamps)))


def already(seen: Seen | None, names: Sequence[str]) -> Answer | None:
    """The values of all names, if every one of them was asked for."""
    if seen is None:
        return None
    try:
        return Answer(seen.run_id, list(map(seen.values.__getitem__, names)))
    except KeyError:
        return None


class Lookup(NamedTuple, Generic[K, V]):
    """Keys that are looked up together: the name and the tags of each one's entry, all the tags, what to ask for."""

    policy: Policy[K, V]
    keys: Sequence[K]
    names: Mapping[K, str]
    tags: Mapping[K, tuple[str, ...]]
    wanted: list[str]
    asked: Asked


class Ticket:
    """The right to store what is read from now on: the fence and the stamps as they were before."""

    __slots__ = ("fence", "held", "stamps", "unusable")

    def __init__(self, fence: bytes, stamps: Mapping[str, bytes | None]) -> None:
        self.fence = fence
        self.stamps = stamps
        self.held, self.unusable = NONE, NONE
        if None in stamps.values() or HELD in b"".join(stamps.values()):  # type: ignore[arg-type]  # none is None there
            self.held = frozenset(tag for tag, stamp in stamps.items() if stamp is not None and HELD in stamp)
            self.unusable = self.held.union(self.bare(stamps))

    def bare(self, tags: Iterable[str]) -> set[str]:
        """Those of the tags that have no stamp."""
        return {tag for tag in tags if self.stamps[tag] is None}

    def stamps_of(self, tags: Sequence[str]) -> list[bytes] | None:
        """The stamps of what depends on these tags; None when it must not be stored."""
        if self.unusable and not self.unusable.isdisjoint(tags):
            return None
        return list(map(self.stamps.__getitem__, tags))  # type: ignore[arg-type]  # none of these is None


class Reading(Generic[K, V]):
    """What the cache knows of some keys; `ticket` is None when what is loaded now must not be stored.

    `early` are hits that should be made anew, since their life is about to end; `bypass` is why nothing was looked at,
    `held` how many misses must not be stored because a write of them is under way.
    With a ticket there is the lookup, with what was asked for.
    """

    __slots__ = ("bypass", "early", "held", "hits", "lookup", "misses", "sight", "ticket")

    def __init__(
        self,
        hits: dict[K, V | None],
        misses: list[K],
        ticket: Ticket | None,
        sight: Sight | None = None,
        lookup: "Lookup[K, V] | None" = None,
    ) -> None:
        self.hits = hits
        self.misses = misses
        self.ticket = ticket
        self.sight = sight
        self.early: list[K] = []
        self.bypass = ""
        self.held = 0
        self.lookup = lookup

    @property
    def needed(self) -> Needed | None:
        """What a replica must have to be asked for the misses; None when that is not known for certain."""
        return needed_of(self.sight) if self.sight else None

    @property
    def names(self) -> Mapping[K, str]:
        """The name of each key's entry."""
        return self.lookup.names if self.lookup else {}

    @property
    def tags(self) -> Mapping[K, tuple[str, ...]]:
        """The tags of each key's entry."""
        return self.lookup.tags if self.lookup else {}

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

    def entries(self, values: Mapping[K, V | None], prefix: str) -> dict[str, bytes]:
        """Those of the values that may be stored, each as an entry, by its name after the prefix."""
        ticket, lookup = self.ticket, self.lookup
        if ticket is None or lookup is None:
            return {}
        fence, stamp, names, tags = ticket.fence, ticket.stamps.__getitem__, lookup.names, lookup.tags
        if ticket.unusable:
            values = {key: value for key, value in values.items() if ticket.unusable.isdisjoint(tags[key])}
        return {
            prefix + names[key]: encode((fence, [*map(stamp, tags[key])], value, key)) for key, value in values.items()
        }

    def only(self, misses: list[K]) -> "Reading[K, V]":
        """The same reading with no hits and fewer misses."""
        found = copy(self)
        found.hits, found.misses = {}, misses
        return found


def dependencies(tags: Sequence[str]) -> tuple[str, ...]:
    """The tags themselves and the tables that they belong to, which a change of many rows touches instead."""
    return tuple(dict.fromkeys([*tags, *[tag.partition(".")[0] for tag in tags]]))


def _name_and_tags(policy: Policy[K, V], _: str, key: K) -> tuple[str, tuple[str, ...]]:
    return policy.entry_name(key), dependencies(policy.tags(key))


_of_plain_key: Final = lru_cache(maxsize=20_000)(_name_and_tags)
"""With its key each takes 0.5 to 1.8 kB, as tracemalloc says."""
_of_structured_key: Final = lru_cache(maxsize=1_000)(_name_and_tags)
"""Fewer: that of a list for who may see 1,000 departments takes 40 kB."""


def names_and_tags(policy: Policy[K, V], prefix: str, keys: Sequence[K]) -> list[tuple[str, tuple[str, ...]]]:
    """The names of keys' entries while the policy has this prefix, and what they depend on; asked for often."""
    of_key = _of_structured_key if keys and isinstance(keys[0], msgspec.Struct) else _of_plain_key
    return [of_key(policy, prefix, key) for key in keys]


def payload(entry: bytes | None, fence: bytes, now: list[bytes | None]) -> bytes | None:
    """The bytes of an entry's value while fence and stamps are those that it was stored with, and none is held."""
    if entry is None:
        return None
    stored_fence, stored, value, _ = decode_entry(entry)
    if stored_fence != fence or stored != now or any(HELD in stamp for stamp in stored):
        return None
    return bytes(value)


def hits_in(
    policy: Policy[K, V],
    entries: Iterable[tuple[K, bytes | None]],
    ticket: Ticket,
    tags: Mapping[K, Sequence[str]],
) -> dict[K, V | None]:
    """The values of those entries that are right."""
    found: dict[K, V | None] = {}
    for key, entry in entries:
        if entry is None:
            continue
        try:
            value = payload(entry, ticket.fence, [ticket.stamps[tag] for tag in tags[key]])
            if value is not None:
                found[key] = policy.decode(value)
        except ValueError:  # a MsgspecError, or a UnicodeDecodeError
            count("cache_undecodable", policy.namespace)
    return found
