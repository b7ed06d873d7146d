"""Batched, cached lookups: one `Batch` value per way of looking something up, and the loaders of one request.

The only module that knows aiodataloader. A batch function returns a mapping; order, absence, duplicates, chunks and
errors are handled here, once.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from aiodataloader import DataLoader

import db
import domain
from cache.dependencies import Dependencies
from cache.policy import Policy
from cache.reading import Asked, Reading, Seen, dependencies
from cache.second_level import SecondLevelCache
from db.connection import ReadConnection
from db.database import Database
from db.tags import declaration_hash
from domain.consistency import Position
from domain.errors import Unavailable
from loaders.routing import looked_up
from loaders.sharing import Load, Loaded, renew_early, shared
from telemetry.counters import count
from telemetry.recording import record_batch, record_bypass
from telemetry.requests import current_loader
from telemetry.tracing import begin, tally

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

MOST_KEYS: Final = 1_000


class Joined:
    """One statement for lookups that are often asked for together: used when a level misses keys of several of them.

    `fetch` is given the keys by namespace, and gives the values by namespace and key.
    """

    def __init__(
        self,
        fetch: Callable[[ReadConnection, Mapping[str, Sequence[Any]]], Awaitable[Mapping[str, Mapping[Any, Any]]]],
    ) -> None:
        self.fetch = fetch


class Batch(Generic[K, V_co]):
    """A way of looking something up.

    `fetch` loads the keys that the cache does not know; a key that its mapping lacks has the value `absent`.
    Batches with the same `joined` are dispatched together.
    """

    def __init__(
        self,
        fetch: Callable[[ReadConnection, Sequence[K]], Awaitable[Mapping[K, V_co]]],
        policy: Policy[K, V_co],
        *,
        absent: Any = None,
        most_keys: int = MOST_KEYS,
        joined: Joined | None = None,
    ) -> None:
        self.fetch = fetch
        self.joined = joined
        self.policy = policy
        self.absent = absent
        self.most_keys = most_keys
        policy.follow(code=code_hash(), declaration=declaration_hash())


OnHits = Callable[[Batch[Any, Any], Reading[Any, Any]], None]
"""Is told of every reading with hits, before the request goes on."""

Wanted = Mapping[Batch[Any, Any], Sequence[Any]]
Found = dict[Batch[Any, Any], dict[Any, Any]]


@cache
def code_hash() -> str:
    """A hash of everything that values are made by: entries of another version of it are not read."""
    digest = hashlib.blake2b(digest_size=6)
    for package in (db, domain):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Loaders:
    """The DataLoaders of one request: a memo per key, batches per tick, over the second-level cache."""

    def __init__(self, database: Database, cache: SecondLevelCache, on_hits: OnHits | None = None) -> None:
        self._database = database
        self._on_hits = on_hits
        self._cache = cache
        self._made: dict[Joined | Batch[Any, Any], _Loader] = {}
        self._own: ReadConnection | None = None
        self.dependencies = Dependencies()
        """What everything that was looked up so far rests on."""
        self.seen: Seen | None = None
        """What was asked of Redis for the request before it was known to be needed."""
        self.asked: list[Asked] = []
        """What everything that was looked up so far was looked for under."""
        self.written: Position | None = None
        """Where the database was once the request's own change had been committed."""

    async def load(self, batch: Batch[K, V], key: K) -> V | None:
        """The value of one key, None (or the batch's `absent`) without one."""
        return cast("V | None", await self._load(batch, key))

    async def load_many(self, batch: Batch[K, V], keys: Iterable[K]) -> list[V | None]:
        """The values of many keys, in their order."""
        return list(await asyncio.gather(*(self._load(batch, key) for key in keys)))

    async def must(self, batch: Batch[K, V], key: K) -> V:
        """The value of a key that a foreign key promises."""
        found = await self._load(batch, key)
        assert found is not None, f"{batch.policy.namespace} lacks {key!r}"
        return cast("V", found)

    async def _load(self, batch: Batch[Any, Any], key: object) -> Any:
        dispatched_with = batch.joined or batch
        loader = self._made.get(dispatched_with)
        if loader is None:
            loader = self._made[dispatched_with] = _Loader(self)
        return await loader.value(batch, key)

    def clear(self) -> None:
        """Forget everything: the request itself changed the database."""
        self._made.clear()
        self.seen = None

    def inside(self, connection: ReadConnection | None) -> None:
        """While the request's own transaction is open, look things up in it, past the cache both ways."""
        self._own = connection
        self.clear()

    async def look_up(self, wanted: Wanted) -> Found:
        """The values of distinct keys: what the cache knows, then the rest from the database, which is then stored."""
        if (span := begin("batch")) is None:
            return await self._look_up(wanted)
        with span:
            loader = "+".join(batch.policy.namespace for batch in wanted)
            span.name = f"batch {loader}"
            keys = sum(len(keys) for keys in wanted.values())
            span.attributes |= {"rollcall.loader": loader, "rollcall.batch.keys": keys, "rollcall.batch.hits": 0}
            return await self._look_up(wanted)

    async def _look_up(self, wanted: Wanted) -> Found:
        if self._own is not None:
            self.dependencies.add(None)
            for batch, keys in wanted.items():
                count("cache_bypasses", "writing", len(keys))
                record_bypass(batch.policy.namespace, "writing", len(keys))
            return await fetched(self._own, wanted)
        lookups = [(batch.policy, keys) for batch, keys in wanted.items()]
        readings = await self._cache.read_together(lookups, self.seen)
        found: Found = {}
        missing: dict[Batch[Any, Any], Reading[Any, Any]] = {}
        for batch, reading in zip(wanted, readings, strict=True):
            self.dependencies.add(reading.ticket)
            if reading.lookup is not None:
                self.asked.append(reading.lookup.asked)
            record_batch(batch.policy.namespace, len(wanted[batch]), len(reading.hits))
            tally("rollcall.batch.hits", len(reading.hits))
            for reason, number in reading.bypasses():
                record_bypass(batch.policy.namespace, reason, number)
            if reading.early:
                renew_early(self._cache, batch.policy, reading, self._loading(batch))
            found[batch] = reading.hits
            if self._on_hits and reading.hits:
                self._on_hits(batch, reading)
            if reading.misses:
                missing[batch] = reading
        if missing:
            for batch, values in (await self._load_missing(missing)).items():
                found[batch] |= values
        return found

    async def _load_missing(self, missing: Mapping[Batch[Any, Any], Reading[Any, Any]]) -> Found:
        [first, *others] = missing
        if not others and first.policy.is_dear:
            return {first: await self._load_shared(first, missing[first])}
        loaded, storable, is_own = await self._ask_alike(missing)
        if not storable:
            self.dependencies.add(None)
        elif is_own:
            for batch, values in loaded.items():
                self._cache.fill_later(batch.policy, missing[batch], values)
        return loaded

    async def _ask_alike(self, missing: Mapping[Batch[Any, Any], Reading[Any, Any]]) -> tuple[Found, bool, bool]:
        """Ask the database, unless a request that saw the same stamps is asking for the same keys."""
        tickets = [reading.ticket for reading in missing.values()]
        if any(ticket is None or ticket.unusable for ticket in tickets):
            return *await self._ask(missing), True
        keys = tuple((batch, batch.policy.prefix, *reading.misses) for batch, reading in missing.items())
        seen = [(ticket.fence, ticket.stamps) for ticket in tickets if ticket is not None]

        def waits() -> None:
            for batch, reading in missing.items():
                count("cache_shared", batch.policy.namespace, len(reading.misses))

        return await self._cache.alike.outcome(keys, seen, lambda: self._ask(missing), waits)

    async def _load_shared(self, batch: Batch[K, V], reading: Reading[K, V]) -> dict[K, V | None]:
        found = await shared(self._cache, batch.policy, reading, self._loading(batch))
        if not found.storable:
            self.dependencies.add(None)
        return found.values

    def _loading(self, batch: Batch[Any, Any]) -> Load:
        async def load(misses: Reading[Any, Any]) -> Loaded:
            loaded, storable = await self._ask({batch: misses})
            return Loaded(loaded[batch], storable)

        return load

    async def _ask(self, missing: Mapping[Batch[Any, Any], Reading[Any, Any]]) -> tuple[Found, bool]:
        """What the database says of the misses, and whether that may be stored."""
        misses = {batch: reading.misses for batch, reading in missing.items()}
        return await looked_up(
            self._database,
            self._cache,
            list(missing.values()),
            lambda: dependencies([tag for b, keys in misses.items() for key in keys for tag in b.policy.tags(key)]),
            lambda connection: fetched(connection, misses),
        )


async def fetched(connection: ReadConnection, wanted: Wanted) -> Found:
    """What the database says of the keys of each lookup: one statement, where they are few enough."""
    batches = list(wanted)
    joined = batches[0].joined
    if joined is not None and len(batches) > 1 and all(len(keys) <= b.most_keys for b, keys in wanted.items()):
        with _sending("+".join(batch.policy.namespace for batch in batches)):
            rows = await joined.fetch(connection, {batch.policy.namespace: keys for batch, keys in wanted.items()})
        return {b: {key: rows[b.policy.namespace].get(key, b.absent) for key in keys} for b, keys in wanted.items()}
    return {batch: await _fetched(connection, batch, keys) for batch, keys in wanted.items()}


async def _fetched(connection: ReadConnection, batch: Batch[K, V], keys: Sequence[K]) -> dict[K, V | None]:
    found: dict[K, V | None] = {}
    if len(keys) > batch.most_keys:
        count("batch_splits", batch.policy.namespace)
    for start in range(0, len(keys), batch.most_keys):
        chunk = keys[start : start + batch.most_keys]
        with _sending(batch.policy.namespace):
            loaded = await batch.fetch(connection, chunk)
        found |= {key: loaded.get(key, batch.absent) for key in chunk}
    return found


@contextmanager
def _sending(loader: str) -> Iterator[None]:
    """Say of the statements within which lookup sends them."""
    token = current_loader.set(loader)
    try:
        yield
    finally:
        current_loader.reset(token)


class _Loader(DataLoader[Any, Any]):
    """aiodataloader over the batches that are dispatched together; its keys are (batch, key).

    It hands an exception out to everybody who waits, and does not remember it.
    """

    def __init__(self, loaders: Loaders) -> None:
        super().__init__()
        self._loaders = loaders
        self._waiting = 0
        self._under_way: set[asyncio.Task[Any]] = set()

    async def value(self, batch: Batch[Any, Any], key: object) -> Any:
        """The value of a key. One who gives up takes nobody along; the last one stops what is under way."""
        self._waiting += 1
        try:
            # shielded: aiodataloader hands one future to every caller
            return await asyncio.shield(self.load((batch, key)))
        except asyncio.CancelledError:
            if self._waiting == 1:
                for task in self._under_way:
                    task.cancel()
            raise
        finally:
            self._waiting -= 1

    def do_resolve_reject(self, key: Any, future: "asyncio.Future[Any]") -> None:
        """Called by aiodataloader with each future that it makes: a failure that nobody waits for is no news."""
        future.add_done_callback(_seen)
        super().do_resolve_reject(key, future)

    async def batch_load_fn(self, keys: list[Any]) -> list[Any]:
        """Called by aiodataloader with the distinct keys of a tick."""
        wanted: dict[Batch[Any, Any], list[Any]] = {}
        for batch, key in keys:
            wanted.setdefault(batch, []).append(key)
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            found = await self._loaders.look_up(wanted)
        except asyncio.CancelledError as error:  # aiodataloader would let everybody wait for ever
            raise Unavailable("the server is about to stop: try again") from error
        finally:
            self._under_way.discard(task)
        return [found[batch][key] for batch, key in keys]


def _seen(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled():
        future.exception()
