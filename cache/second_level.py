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
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeVar

from cache.breaker import BreakerOpen
from cache.fence import Fence, is_ours
from cache.filling import Filling
from cache.flights import Flights
from cache.leases import Lease, Leases
from cache.policy import Policy, encode
from cache.progress import LastFence, Needed, as_arguments, newest_of
from cache.reading import HELD, Reading, Ticket, dependencies, payload
from cache.server import CacheUnreachable, Server
from cache.tick import STAMP_LIFE, TickReader
from domain.consistency import Position
from telemetry.counters import count

K = TypeVar("K")
V = TypeVar("V")

FENCE_LIFE: Final = timedelta(seconds=2)
HOLD_LIFE: Final = timedelta(seconds=10)
ENTRY_LIFE: Final = timedelta(hours=1)
MOST_RESTAMPED: Final = 1_000
NO_LEASE: Final = Lease("", ())


class Foundation(NamedTuple):
    """Names in Redis with the values that they must have, and the server that must say so."""

    names: list[str]
    values: list[bytes]
    run_id: str


class SecondLevelCache:
    """Entries of one installation in Redis; `server` None means that the cache is off."""

    def __init__(
        self,
        server: Server | None,
        prefix: str = "rollcall",
        life_by_kind: Mapping[str, timedelta] = MappingProxyType({}),
    ) -> None:
        self.server = server
        self._life_by_kind = life_by_kind
        self.fence_name = f"{prefix}:f"
        self.newest_name = f"{prefix}:n"
        self._last_fence: LastFence | None = None
        self.stamp_prefix = f"{prefix}:s:"
        self.entry_prefix = f"{prefix}:e:"
        self._mark = f"{prefix}:a:"
        self._tick = TickReader(server, self.fence_name) if server else None
        self._later: set[asyncio.Task[None]] = set()
        self._filling = Filling(server, self.later) if server else None
        self.flights = Flights()
        """Entries that this process makes for several requests."""
        self.leases = Leases(server, self._tick, prefix) if server and self._tick else None

    # ------------------------------------------------------------------------------------------------------- reading

    async def read(self, policy: Policy[K, V], keys: Sequence[K]) -> Reading[K, V]:
        """Look keys up; misses come with a ticket, with which what the database says may be stored."""
        if self._tick is None or self.server is None:
            return self._nothing(keys, "off")
        tags = {key: dependencies(policy.tags(key)) for key in keys}
        entry_names = {key: policy.entry_name(key) for key in keys}
        wanted = list(dict.fromkeys([tag for of_key in tags.values() for tag in of_key]))
        stamp_names = [self.stamp_prefix + tag for tag in wanted]
        names = [self.fence_name, self.newest_name, *stamp_names]
        names += [self.entry_prefix + name for name in entry_names.values()]
        if policy.renews_early:
            names += [self._mark + name for name in entry_names.values()]
        try:
            run_id, values = await self._tick.read(names, stamp_names)
        except CacheUnreachable as error:
            return self._nothing(keys, "breaker" if isinstance(error.__cause__, BreakerOpen) else "unreachable")
        fence, entries = values[0], values[2 + len(wanted) :]
        stamps = dict(zip(wanted, values[2:], strict=False))
        if fence is None or not is_ours(fence, run_id, policy.declaration):
            return self._nothing(keys, "fenced", self._needed(run_id, values[1], self._last_fence, stamps))
        self._last_fence = seen = LastFence(fence)
        hits = self._hits(policy, zip(keys, entries, strict=False), fence, stamps, tags)
        misses = [key for key in keys if key not in hits]
        count("cache_hits", policy.namespace, len(hits))
        count("cache_misses", policy.namespace, len(misses))
        reading = Reading(hits, misses, Ticket(fence, stamps), self._needed(run_id, values[1], seen, stamps))
        reading.names, reading.tags = entry_names, tags
        reading.note_unusable()
        if policy.renews_early:
            reading.early = [
                k for k, mark in zip(keys, entries[len(keys) :], strict=True) if mark is None and k in hits
            ]
        return reading

    @staticmethod
    def _hits(
        policy: Policy[K, V],
        entries: Iterable[tuple[K, bytes | None]],
        fence: bytes,
        stamps: Mapping[str, bytes | None],
        tags: Mapping[K, Sequence[str]],
    ) -> dict[K, V | None]:
        found: dict[K, V | None] = {}
        for key, entry in entries:
            if entry is None:
                continue
            try:
                value = payload(entry, fence, [stamps[tag] for tag in tags[key]])
                if value is not None:
                    found[key] = policy.decode(value)
            except ValueError:  # a MsgspecError, or a UnicodeDecodeError
                count("cache_undecodable", policy.namespace)
        return found

    def foundation(self, fence: bytes, stamps: Mapping[str, bytes]) -> Foundation:
        """The fence and these stamps, to be asked again and again whether they still stand."""
        names = [self.fence_name, *(self.stamp_prefix + tag for tag in stamps)]
        return Foundation(names, [fence, *stamps.values()], fence.partition(b".")[0].decode())

    async def stands(self, foundation: Foundation) -> bool:
        """Whether the fence and every one of the stamps is as it was: then what rests on them is as it was."""
        return await self.standing(foundation) == len(foundation.values)

    async def standing(self, foundation: Foundation) -> int:
        """How much of it is as it was, from its beginning on; what rests on so much is as it was."""
        if self._tick is None:
            return 0
        try:
            run_id, values = await self._tick.read(foundation.names)
        except CacheUnreachable:
            return 0
        if run_id != foundation.run_id:
            return 0
        if values == foundation.values:
            return len(values)
        return next(n for n, pair in enumerate(zip(values, foundation.values, strict=True)) if pair[0] != pair[1])

    async def unchanged(self, fence: bytes, stamps: Mapping[str, bytes]) -> bool:
        """The same of stamps that are asked about once."""
        return await self.stands(self.foundation(fence, stamps))

    async def as_stored(self, names: Sequence[str]) -> list[bytes | None]:
        """Entries of no lookup as they stand, unchecked; nothing of all when Redis cannot be reached."""
        nothing: list[bytes | None] = [None] * len(names)
        if self._tick is None:
            return nothing
        try:
            return list((await self._tick.read([self.entry_prefix + name for name in names])).value)
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
        needed = self._needed(run_id, newest, LastFence(fence) if fence else self._last_fence, {})
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
        needed = self._needed(run_id, value, LastFence(fence) if fence else None, stamps)
        if fence != ticket.fence or needed is None or needed.held:
            return False
        same = all(stamp is not None and ticket.stamps[tag] == stamp for tag, stamp in stamps.items())
        return same and replayed.server == needed.position.server and replayed.lsn >= needed.position.lsn

    def _needed(
        self, run_id: str, newest: bytes | None, fence: LastFence | None, stamps: Mapping[str, bytes | None]
    ) -> Needed | None:
        """After the fence has lapsed what was newest under it is still true of the Redis that it lived on."""
        position = newest_of(newest, fence.value) if fence else None
        if position is None or fence is None or not fence.value.startswith(f"{run_id}.".encode()):
            return None
        held = any(stamp is not None and HELD in stamp for stamp in stamps.values())
        return Needed(position, held or fence.suspended)

    def _nothing(self, keys: Sequence[K], reason: str, needed: Needed | None = None) -> Reading[K, V]:
        count("cache_bypasses", reason, len(keys))
        reading: Reading[K, V] = Reading({}, list(keys), None, needed)
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
        ticket, filling = reading.ticket, self._filling
        if filling is None:
            return
        life_ms = _ms(self._life_by_kind.get(policy.kind, ENTRY_LIFE))
        for key, value in values.items() if ticket else ():
            stamps = ticket.stamps_of(reading.tags[key]) if ticket else None
            if ticket is not None and stamps is not None:
                name = reading.names[key]
                entry = encode((ticket.fence, stamps, value, key))
                mark = self._mark + name if policy.renews_early else ""
                filling.add(policy.namespace, self.entry_prefix + name, entry, life_ms, mark, cost)
        filling.give_back(lease)
        filling.leave()

    def store_soon(self, namespace: str, name: str, entry: bytes, life: timedelta) -> None:
        """Store an entry that was made of what lookups have loaded, together with what waits of that."""
        if self._filling is not None:
            self._filling.add(namespace, self.entry_prefix + name, entry, _ms(life), "", timedelta())
            asyncio.get_running_loop().call_soon(self._filling.leave_now)

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
        suspended: bool = False,
    ) -> None:
        """Restamp (tag, xid) of drained transactions and extend the fence, if not `suspended`; raises CacheUnreachable.

        `position` is where PostgreSQL was once the drained transactions had been seen.
        """
        assert self.server is not None
        newest = (fence.from_ms, int(bool(touched)), *(as_arguments(position) or ("", 0, 0)))
        for start in range(0, max(len(touched), 1), MOST_RESTAMPED):
            chunk = touched[start : start + MOST_RESTAMPED]
            names = [self.fence_name, self.newest_name, *(self.stamp_prefix + tag for tag, _ in chunk)]
            is_last = int(start + MOST_RESTAMPED >= len(touched) and not suspended)
            expiry_ms = fence.from_ms + _ms(FENCE_LIFE)
            arguments = [fence.value, is_last, expiry_ms, drain, _ms(STAMP_LIFE), *newest, *(xid for _, xid in chunk)]
            answer = await self.server.run("renew", names, arguments)
            if answer.run_id != fence.run_id:
                raise CacheUnreachable("Redis was replaced by another server in the middle of a drain")
        self._last_fence = LastFence(fence.value.encode(), suspended)
        count("cache_drained", "", len(touched))

    async def close(self) -> None:
        """Finish storing and close the connections."""
        await self.settle()
        if self.server is not None:
            await self.server.close()


def _ms(life: timedelta) -> int:
    return round(life.total_seconds() * 1000)
