"""The second-level cache: entries are served only while the stamps of everything that they depend on are unchanged.

stamp   every tag has one in Redis, a nonce. An entry is stored with the stamps from *before* its data was read.
hold    a writer marks its tags as held *before* COMMIT and restamps them after it; held tags serve nothing.
fence   the whole cache is usable only while a short lease exists; the drain extends it together with every
        invalidation that was committed in PostgreSQL.

Why nothing served is ever stale stands in docs/explain/coherence.md. A fault of Redis is never an error of a request:
it is a miss and a counter.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from functools import lru_cache, partial
from itertools import chain, islice
from operator import eq
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cache.breaker import BreakerOpen
from cache.fence import Fence, is_ours
from cache.filling import NO_LEASE, Filling
from cache.flights import Alike, Flights
from cache.leases import Lease, Leases
from cache.policy import Policy
from cache.progress import LastFence, Sight, as_arguments, needed_of
from cache.reading import (
    Asked,
    Foundation,
    Lookup,
    Reading,
    Seen,
    Ticket,
    already,
    hits_in,
    names_and_tags,
    together,
)
from cache.server import CacheUnreachable, Server
from cache.tick import STAMP_LIFE, TickReader
from domain.consistency import Position
from telemetry.counters import count

K = TypeVar("K")
V = TypeVar("V")

FENCE_LIFE: Final = timedelta(seconds=2)
HOLD_LIFE: Final = timedelta(seconds=10)
ENTRY_LIFE_MS: Final = 3_600_000
MOST_RESTAMPED: Final = 1_000
PLAIN: Final = (int, str)
"""Types of keys whose lookups are remembered."""
MOST_LOOKUPS: Final = 4_000
"""Of one row that are remembered; each takes about 2 kB."""


class SecondLevelCache:
    """Entries of one installation in Redis; `server` None means that the cache is off."""

    def __init__(
        self,
        server: Server | None,
        prefix: str = "rollcall",
        life_by_kind: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        self.server = server
        self._ms_by_kind = {kind: _ms(life) for kind, life in life_by_kind.items()}
        self.fence_name, self.newest_name, self.drain_name = f"{prefix}:f", f"{prefix}:n", f"{prefix}:d"
        self._last_fence: LastFence | None = None
        self.stamp_prefix, self.entry_prefix, self._mark = f"{prefix}:s:", f"{prefix}:e:", f"{prefix}:a:"
        self._tick = TickReader(server, self.fence_name) if server else None
        self._of_one = lru_cache(MOST_LOOKUPS)(lambda policy, _, key: self._lookup_of(policy, [key]))
        self._later: set[asyncio.Task[None]] = set()
        self._filling = Filling(server, self.later, self.entry_prefix, self._mark) if server else None
        self.flights = Flights()
        """Entries that this process makes for several requests."""
        self.alike = Alike()
        """Rows by id that one request asks for, and others as well."""
        self.leases = Leases(server, self._tick, prefix) if server and self._tick else None

    # ------------------------------------------------------------------------------------------------------- reading

    async def read(self, policy: Policy[K, V], keys: Sequence[K]) -> Reading[K, V]:
        """Look keys up; misses come with a ticket, with which what the database says may be stored."""
        [reading] = await self.read_together([(policy, keys)])
        return reading

    async def read_together(
        self, wanted: Sequence[tuple[Policy[Any, Any], Sequence[Any]]], seen: Seen | None = None
    ) -> list[Reading[Any, Any]]:
        """Several lookups in one look. What the request has `seen` by an earlier look is not asked for again."""
        if self._tick is None:
            return [self._nothing(keys, "off") for _, keys in wanted]
        lookups = [self._lookup(policy, keys) for policy, keys in wanted]
        asked = together([lookup.asked for lookup in lookups])
        earlier = already(seen, asked.names)
        known = seen.last_fence if seen and earlier else self._last_fence
        try:
            run_id, values = earlier or await self._tick.read(*asked)
        except CacheUnreachable as error:
            reason = "breaker" if isinstance(error.__cause__, BreakerOpen) else "unreachable"
            return [self._nothing(keys, reason) for _, keys in wanted]
        latest = self._last_fence is known
        if len(lookups) == 1:
            return [self._reading(lookups[0], run_id, values, latest=latest)]
        left = iter(values)
        return [self._reading(it, run_id, list(islice(left, len(it.asked.names))), latest=latest) for it in lookups]

    def _lookup(self, policy: Policy[K, V], keys: Sequence[K]) -> Lookup[K, V]:
        if len(keys) == 1 and isinstance(keys[0], PLAIN):
            return self._of_one(policy, policy.prefix, keys[0])
        return self._lookup_of(policy, keys)

    def _lookup_of(self, policy: Policy[K, V], keys: Sequence[K]) -> Lookup[K, V]:
        places = names_and_tags(policy, policy.prefix, keys)
        names, tags = [name for name, _ in places], [of_key for _, of_key in places]
        wanted = list(dict.fromkeys(chain.from_iterable(tags)))
        asked = self._asked(wanted, names, marked=policy.renews_early)
        by_key = partial(zip, keys, strict=True)
        return Lookup(policy, keys, dict(by_key(names)), dict(by_key(tags)), wanted, asked)

    def _reading(self, lookup: Lookup[K, V], run_id: str, values: list[bytes | None], *, latest: bool) -> Reading[K, V]:
        """`latest`: nothing else was learnt of the fence since the look, as by a drain that finds it suspended."""
        policy, keys, _, tags, wanted, _ = lookup
        fence, newest, entries = values[0], values[1], values[2 + len(wanted) :]
        ticket = Ticket(fence or b"", dict(zip(wanted, values[2:], strict=False)))
        if fence is None or not is_ours(fence, run_id, policy.declaration):
            last_fence = self._last_fence if latest else None
            return self._nothing(keys, "fenced", Sight(run_id, newest, last_fence, ticket.held))
        last = LastFence(fence)
        if latest:
            known = self._last_fence  # a fence that is suspended stands until it lapses
            is_suspended = known is not None and known.suspended and known.value == fence
            self._last_fence = LastFence(fence, suspended=True) if is_suspended else last
        hits, misses = {}, list(keys)
        if entries.count(None) < len(entries):
            hits = hits_in(policy, zip(keys, entries, strict=False), ticket, tags)
            misses = [key for key in keys if key not in hits]
        count("cache_hits", policy.namespace, len(hits))
        count("cache_misses", policy.namespace, len(misses))
        reading = Reading(hits, misses, ticket, Sight(run_id, newest, last, ticket.held), lookup)
        if ticket.unusable:
            reading.note_unusable()
        if policy.renews_early:
            marks = entries[len(keys) :]
            reading.early = [key for key, mark in zip(keys, marks, strict=True) if mark is None and key in hits]
        return reading

    def asked(self, policy: Policy[K, V], key: K) -> Asked:
        """What looking a key up asks for."""
        return self._lookup(policy, [key]).asked

    def _asked(self, tags: Sequence[str], entries: Sequence[str], *, marked: bool) -> Asked:
        stamps = [self.stamp_prefix + tag for tag in tags]
        names = [self.fence_name, self.newest_name, *stamps, *[self.entry_prefix + name for name in entries]]
        if marked:
            names += [self._mark + name for name in entries]
        return Asked(names, stamps)

    def foundation(self, fence: bytes, stamps: Mapping[str, bytes]) -> Foundation:
        """The fence and these stamps, to be asked again and again whether they still stand."""
        names = [self.fence_name, *(self.stamp_prefix + tag for tag in stamps)]
        return Foundation(names, [fence, *stamps.values()], fence.partition(b".")[0].decode())

    async def stands(self, foundation: Foundation, seen: Seen | None = None) -> bool:
        """Whether the fence and every one of the stamps is as it was: then what rests on them is as it was."""
        return await self.standing(foundation, seen) == len(foundation.values)

    async def standing(self, foundation: Foundation, seen: Seen | None = None) -> int:
        """How much of it is as it was, from its beginning on; what rests on so much is as it was."""
        if self._tick is None:
            return 0
        try:
            run_id, values = already(seen, foundation.names) or await self._tick.read(foundation.names)
        except CacheUnreachable:
            return 0
        if run_id != foundation.run_id:
            return 0
        if values == foundation.values:
            return len(values)
        return list(map(eq, values, foundation.values)).index(False)

    async def unchanged(self, fence: bytes, stamps: Mapping[str, bytes]) -> bool:
        """The same of stamps that are asked about once."""
        return await self.stands(self.foundation(fence, stamps))

    async def look(self, asked: Asked) -> Seen | None:
        """Find what will be asked for before it is; None when Redis cannot be reached."""
        if self._tick is None:
            return None
        known = self._last_fence
        try:
            run_id, values = await self._tick.read(*asked)
        except CacheUnreachable:
            return None
        return Seen(run_id, dict(zip(asked.names, values, strict=True)), known)

    def entry_name(self, name: str) -> str:
        """What an entry is called in Redis."""
        return self.entry_prefix + name

    async def as_stored(self, names: Sequence[str], seen: Seen | None = None) -> list[bytes | None]:
        """Entries of no lookup as they stand, unchecked; nothing of all when Redis cannot be reached."""
        nothing: list[bytes | None] = [None] * len(names)
        if self._tick is None:
            return nothing
        try:
            full = list(map(self.entry_name, names))
            return list((already(seen, full) or await self._tick.read(full)).value)
        except CacheUnreachable:
            return nothing

    async def newest(self) -> Position | None:
        """The newest position of PostgreSQL that the stamps know of, None when that is not known for certain."""
        if self._tick is None:
            return None
        try:
            run_id, (fence, newest) = await self._tick.read([self.fence_name, self.newest_name])
        except CacheUnreachable:
            return None
        needed = needed_of(Sight(run_id, newest, LastFence(fence) if fence else self._last_fence, ()))
        return needed.position if needed else None

    async def confirms(self, ticket: Ticket, tags: Sequence[str], replayed: Position) -> bool:
        """Whether what a replica said after it had replayed so much is what the primary would have said.

        A replica may show a commit before the primary does: so stamps and newest position, which were those of one
        moment, are looked at again once the replica has answered.
        """
        names = [self.stamp_prefix + tag for tag in tags]
        assert self._tick is not None
        try:
            run_id, (fence, value, *now) = await self._tick.read([self.fence_name, self.newest_name, *names])
        except CacheUnreachable:
            return False
        stamps = dict(zip(tags, now, strict=True))
        needed = needed_of(Sight(run_id, value, LastFence(fence) if fence else None, Ticket(b"", stamps).held))
        if fence != ticket.fence or needed is None or needed.held:
            return False
        same = all(stamp is not None and ticket.stamps[tag] == stamp for tag, stamp in stamps.items())
        return same and replayed.server == needed.position.server and replayed.lsn >= needed.position.lsn

    def _nothing(self, keys: Sequence[K], reason: str, sight: Sight | None = None) -> Reading[K, V]:
        count("cache_bypasses", reason, len(keys))
        reading: Reading[K, V] = Reading({}, list(keys), None, sight)
        reading.bypass = reason
        return reading

    # ------------------------------------------------------------------------------------------------------- storing

    def fill_names(self, reading: Reading[K, V]) -> dict[K, str]:
        """Names for the making of each entry that may be stored: of the entry, and of the stamps it is made under."""
        if reading.ticket is None or self.leases is None:
            return {}
        found = {}
        for key in reading.misses:
            stamps = reading.ticket.stamps_of(reading.tags[key])
            if stamps is not None:
                found[key] = self.leases.name(reading.names[key], reading.ticket.fence, stamps)
        return found

    def fill_later(
        self,
        policy: Policy[K, V],
        reading: Reading[K, V],
        values: Mapping[K, V | None],
        lease: Lease = NO_LEASE,
        cost: timedelta = timedelta(),
    ) -> None:
        """Store what was loaded after a reading, off the reply path; then the lease is given back.

        `cost` is how long it took to load: the dearer, the earlier it is made anew.
        """
        if self._filling is not None:
            life_ms = self._ms_by_kind.get(policy.kind, ENTRY_LIFE_MS)
            self._filling.take(policy, reading, values, life_ms, lease, cost)

    def soon(self, make: Callable[[], None]) -> None:
        """Let `make` store something off the reply path, together with what lookups have loaded."""
        if self._filling is not None:
            self._filling.soon(make)

    def store(self, namespace: str, name: str, entry: bytes, life: timedelta) -> None:
        """Store an entry; called by what `soon` was given."""
        if self._filling is not None:
            self._filling.add(namespace, name, entry, _ms(life))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something off the reply path that storing belongs to; of no request, also where statements are counted."""
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def settle(self) -> None:
        """Wait until everything that was to be stored is stored."""
        while True:
            if self._filling is not None:
                self._filling.leave_now()
            if not self._later:
                return
            await asyncio.gather(*self._later, return_exceptions=True)

    # ------------------------------------------------------------------------------------------------------- writing

    async def home(self) -> str:
        """The run_id of the Redis that we talk to; "" without one."""
        if self.server is not None and not self.server.run_id:
            with suppress(CacheUnreachable):
                await self.server.clock_ms()
        return self.server.run_id if self.server else ""

    async def hold(self, xid: str, tags: Sequence[str], home: str) -> bool:
        """Before COMMIT: nothing that depends on `tags` is served from now on.

        False when that cannot be promised: there was no answer, or it came from another server than `home`.
        """
        if self.server is None:
            return False
        try:
            answer = await self.server.run("hold", [self.stamp_prefix + tag for tag in tags], [xid, _ms(HOLD_LIFE)])
        except CacheUnreachable:
            return False
        return answer.run_id == home

    async def release(self, xid: str, tags: Sequence[str], position: Position | None = None) -> None:
        """After COMMIT: restamp and let go. If Redis is gone now, the drain or the end of the hold does it.

        `position` is where PostgreSQL was by then.
        """
        if self.server is None:
            return
        try:
            names = [self.newest_name, *(self.stamp_prefix + tag for tag in tags)]
            await self.server.run("release", names, [xid, _ms(STAMP_LIFE), *as_arguments(position)])
        except CacheUnreachable:
            count("cache_bypasses", "unreleased", len(tags))

    async def restamp(self, tags: Sequence[str]) -> None:
        """Make everything that depends on `tags` unusable although nothing was written; raises CacheUnreachable."""
        assert self.server is not None
        names = [self.newest_name, *(self.stamp_prefix + tag for tag in tags)]
        await self.server.run("release", names, [f"o{secrets.token_hex(8)}", _ms(STAMP_LIFE)])
        count("cache_invalidated", "", len(tags))

    async def forget(self, entries: Sequence[str]) -> None:
        """Delete entries by name; raises CacheUnreachable."""
        assert self.server is not None
        await self.server.delete([self.entry_prefix + entry for entry in entries])

    async def renew(
        self,
        fence: Fence,
        drain: str,
        touched: Sequence[tuple[str, str]],
        position: Position | None = None,
        *,
        last_drain: str = "",
        suspended: bool = False,
    ) -> bool:
        """Restamp (tag, xid) of drained transactions and extend the fence, if not `suspended`; raises CacheUnreachable.

        `position` is where PostgreSQL was once they had been seen. False when Redis knows nothing of `last_drain`: it
        has lost its data, or older ones have taken their place.
        """
        assert self.server is not None
        newest = (fence.from_ms, int(bool(touched)), *(as_arguments(position) or ("", 0, 0)), last_drain)
        for start in range(0, max(len(touched), 1), MOST_RESTAMPED):
            chunk = touched[start : start + MOST_RESTAMPED]
            names = [self.fence_name, self.newest_name, self.drain_name, *(self.stamp_prefix + tag for tag, _ in chunk)]
            is_last = int(start + MOST_RESTAMPED >= len(touched) and not suspended)
            expiry_ms = fence.from_ms + _ms(FENCE_LIFE)
            arguments = [fence.value, is_last, expiry_ms, drain, _ms(STAMP_LIFE), *newest, *(xid for _, xid in chunk)]
            answer = await self.server.run("renew", names, arguments)
            if answer.run_id != fence.run_id:
                raise CacheUnreachable("Redis was replaced by another server in the middle of a drain")
            if answer.value < 0:
                return False
        self._last_fence = LastFence(fence.value.encode(), suspended)
        count("cache_drained", "", len(touched))
        return True

    async def close(self) -> None:
        """Finish storing and close the connections."""
        await self.settle()
        if self.server is not None:
            await self.server.close()


def _ms(life: timedelta) -> int:
    return round(life.total_seconds() * 1000)
