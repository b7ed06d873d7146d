"""Shadow verification: a share of what the cache served is asked of the database again, off the path of the request.

A difference means that the cache broke its promise: it is counted and logged, and whatever depends on it is made
unusable. A write under way is no difference: the database is asked within one snapshot, together with its outbox, and
the stamps are looked at again after it. What a snapshot shows is still in its outbox, or has new stamps.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec
import structlog

from cache.policy import encode
from cache.reading import Reading, Ticket, dependencies
from cache.second_level import FENCE_LIFE, SecondLevelCache
from cache.server import CacheUnreachable
from db import coherence
from db.connection import ReadConnection
from db.database import Database
from domain.errors import Unavailable
from loaders.batch import Batch
from telemetry.counters import count

CONFIRMED_AFTER: Final = FENCE_LIFE + timedelta(milliseconds=250)
"""A replica may show a commit that the primary does not show yet; and while workers disagree about which Redis serves,
what psql wrote may be drained through one before the fence on the other has lapsed, which is within the promise."""
MOST_LOGGED: Final = 50

Verdict = Literal["same", "different", "overtaken"]
"""Overtaken: something was written meanwhile, so that nothing can be said."""

log = structlog.get_logger("rollcall.cache")


class Served(msgspec.Struct, frozen=True):
    """A value that the cache served, and the stamps that it was served under."""

    entry: str
    """Its name in Redis, "" for what is kept elsewhere."""
    value: object
    fence: bytes
    stamps: Mapping[str, bytes]
    again: Callable[[ReadConnection], Awaitable[object]]
    """What the database says, within the snapshot of a connection."""


def served(batch: Batch[Any, Any], key: Any, value: object, ticket: Ticket) -> Served:
    """A hit of a lookup."""

    async def again(connection: ReadConnection) -> object:
        found = (await batch.fetch(connection, [key])).get(key, batch.absent)
        return batch.policy.decode(encode(found))

    stamps = {tag: ticket.stamps[tag] or b"" for tag in dependencies(batch.policy.tags(key))}
    return Served(batch.policy.entry_name(key), value, ticket.fence, stamps, again)


async def verdict_on(database: Database, cache: SecondLevelCache, sample: Served) -> Verdict:
    """Compare with the database; raises CacheUnreachable or Unavailable when that cannot be done."""
    async with database.snapshot() as connection:
        if await coherence.undrained(connection, list(sample.stamps)):  # the first statement: it begins the snapshot
            return "overtaken"
        found = await sample.again(connection)
    if found == sample.value:
        return "same"
    return "different" if await cache.unchanged(sample.fence, sample.stamps) else "overtaken"


async def verified(database: Database, cache: SecondLevelCache, kind: str, sample: Served) -> Verdict:
    """Compare, and raise the alarm when the cache was wrong; `kind` is the label of the metric."""
    verdict = await verdict_on(database, cache, sample)
    if verdict == "different":
        await asyncio.sleep(CONFIRMED_AFTER.total_seconds())
        verdict = await verdict_on(database, cache, sample)
    count("cache_verified", verdict)
    if verdict == "different":
        count("cache_stale", kind)
        tags = sorted(sample.stamps)
        log.error(
            "the cache served something stale",
            kind=kind,
            entry=sample.entry,
            tags=tags[:MOST_LOGGED],
            tag_count=len(tags),
        )
        # not only the entry: answers that were made of it rest on the same tags
        await cache.restamp([tag for tag in tags if "." in tag])
        if sample.entry:
            await cache.forget([sample.entry])
    return verdict


class Shadow:
    """Samples a share of the hits of one process; one at a time, and none while the database is busy."""

    def __init__(self, database: Database, cache: SecondLevelCache, share: float) -> None:
        self._database = database
        self.cache = cache
        self.share = share
        self._under_way: asyncio.Task[None] | None = None

    def consider(self, batch: Batch[Any, Any], reading: Reading[Any, Any]) -> None:
        """Perhaps verify one of the hits of a reading."""
        if reading.ticket is not None and self.wants(len(reading.hits)):
            key = random.choice(list(reading.hits))  # noqa: S311
            self.begin(batch.policy.namespace, served(batch, key, reading.hits[key], reading.ticket))

    def wants(self, hits: int = 1) -> bool:
        """Whether one of so many hits should be verified now."""
        if not self.share or random.random() >= self.share * hits:  # noqa: S311
            return False
        if self._under_way is not None or self._database.busy:
            count("cache_verified", "skipped")
            return False
        return True

    def begin(self, kind: str, sample: Served) -> None:
        """Verify in the background, on nobody's account: a request's recording does not count its statements."""
        work = self._verify(kind, sample)
        self._under_way = asyncio.get_running_loop().create_task(work, context=Context())

    async def settle(self) -> None:
        """Wait for what is under way."""
        if self._under_way is not None:
            await asyncio.wait({self._under_way})

    async def close(self) -> None:
        """Give up what is under way."""
        if self._under_way is not None:
            self._under_way.cancel()
            with suppress(asyncio.CancelledError):
                await self._under_way

    async def _verify(self, kind: str, sample: Served) -> None:
        try:
            await verified(self._database, self.cache, kind, sample)
        except (CacheUnreachable, Unavailable):
            count("cache_verified", "failed")
        except Exception:
            count("cache_verified", "failed")
            log.exception("a verification failed")
        finally:
            self._under_way = None
