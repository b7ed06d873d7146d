"""Batched, cached lookups: one `Batch` value per way of looking something up, and the loaders of one request.

The only module that knows aiodataloader. A batch function returns a mapping; order, absence, duplicates, chunks and
errors are handled here, once.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from aiodataloader import DataLoader

import db
import domain
from cache.dependencies import Dependencies
from cache.policy import Policy
from cache.second_level import Reading, SecondLevelCache
from db.connection import ReadConnection
from db.database import Database
from db.tags import declaration_hash
from domain.errors import Unavailable
from telemetry.counters import count
from telemetry.recording import record_batch

K = TypeVar("K")
V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)

MOST_KEYS: Final = 1_000


class Batch(Generic[K, V_co]):
    """A way of looking something up.

    `fetch` loads the keys that the cache does not know; a key that its mapping lacks has the value `absent`.
    """

    def __init__(
        self,
        fetch: Callable[[ReadConnection, Sequence[K]], Awaitable[Mapping[K, V_co]]],
        policy: Policy[K, V_co],
        *,
        absent: Any = None,
        most_keys: int = MOST_KEYS,
    ) -> None:
        self.fetch = fetch
        self.policy = policy
        self.absent = absent
        self.most_keys = most_keys
        policy.follow(code=code_hash(), declaration=declaration_hash())


OnHits = Callable[[Batch[Any, Any], Reading[Any, Any]], None]
"""Is told of every reading with hits, before the request goes on."""


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
        self._made: dict[int, _Loader] = {}
        self._own: ReadConnection | None = None
        self.dependencies = Dependencies()
        """What everything that was looked up so far rests on."""

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
        loader = self._made.get(id(batch))
        if loader is None:
            loader = self._made[id(batch)] = _Loader(self, batch)
        # shielded: aiodataloader hands one future to every caller, and one who gives up must not take the others along
        return await asyncio.shield(loader.load(key))

    def clear(self) -> None:
        """Forget everything: the request itself changed the database."""
        self._made.clear()

    def inside(self, connection: ReadConnection | None) -> None:
        """While the request's own transaction is open, look things up in it, past the cache both ways."""
        self._own = connection
        self.clear()

    async def look_up(self, batch: Batch[K, V], keys: Sequence[K]) -> dict[K, V | None]:
        """The values of distinct keys: what the cache knows, then the rest from the database, which is then stored."""
        if self._own is not None:
            self.dependencies.add(None)
            return await self._fetch(batch, self._own, keys)
        reading = await self._cache.read(batch.policy, keys)
        self.dependencies.add(reading.ticket)
        record_batch(batch.policy.namespace, len(keys), len(reading.hits))
        if self._on_hits and reading.hits:
            self._on_hits(batch, reading)
        if not reading.misses:
            return reading.hits
        async with self._database.read() as connection:
            loaded = await self._fetch(batch, connection, reading.misses)
        self._cache.fill_later(batch.policy, reading.ticket, loaded)
        return reading.hits | loaded

    async def _fetch(self, batch: Batch[K, V], connection: ReadConnection, keys: Sequence[K]) -> dict[K, V | None]:
        found: dict[K, V | None] = {}
        if len(keys) > batch.most_keys:
            count("batch_splits", batch.policy.namespace)
        for start in range(0, len(keys), batch.most_keys):
            chunk = keys[start : start + batch.most_keys]
            loaded = await batch.fetch(connection, chunk)
            found |= {key: loaded.get(key, batch.absent) for key in chunk}
        return found


class _Loader(DataLoader[Any, Any]):
    """aiodataloader over a Batch. It hands an exception out to everybody who waits, and does not remember it."""

    def __init__(self, loaders: Loaders, batch: Batch[Any, Any]) -> None:
        super().__init__()
        self._loaders = loaders
        self._batch = batch

    async def batch_load_fn(self, keys: list[Any]) -> list[Any]:
        """Called by aiodataloader with the distinct keys of a tick."""
        try:
            found = await self._loaders.look_up(self._batch, keys)
        except asyncio.CancelledError as error:  # aiodataloader would let everybody wait for ever
            raise Unavailable("the server is about to stop: try again") from error
        return [found[key] for key in keys]
