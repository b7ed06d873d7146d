"""The work of `rollcall cache inspect` and `invalidate`: one entry, some tags."""

import logging
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgspec
import structlog

from cache.entries import Entries, Entry, Stamp, shown
from cache.reading import HELD, dependencies
from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable, Server
from domain.errors import RollcallError
from loaders.catalogue import batch_of, batches, key_of
from ops.cache_answers import ANSWERS, HINTS, kind_of, shown_answer, shown_hint, tags_of
from ops.cache_tags import check_tag
from ops.redis_refusal import refusal
from web.environment import SettingsError
from web.settings import Settings
from web.stores import open_cache

T = TypeVar("T")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[SecondLevelCache]:
    """The cache that the settings name; what Redis refuses or leaves unanswered ends the command."""
    if not settings.cache.enabled or settings.redis.shared_url is None:
        raise SettingsError("the cache is off: set REDIS_URL, and CACHE=on")
    cache = open_cache(settings)
    try:
        with _alarms_alone():
            yield cache
    except CacheUnreachable as error:
        raise refusal(error, settings) from None
    finally:
        await cache.close()


@contextmanager
def _alarms_alone() -> Iterator[None]:
    """Log errors to standard error and nothing else: standard output is the answer of the command."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def server_of(settings: Settings) -> Server:
    """A connection of its own to the Redis of the settings."""
    server = open_cache(settings).server
    assert server is not None
    return server


def over_cache(
    work: Callable[[SecondLevelCache], Coroutine[Any, Any, T]],
) -> Callable[[Settings], Coroutine[Any, Any, T]]:
    """Work that needs nothing but the cache."""

    async def whole(settings: Settings) -> T:
        async with opened(settings) as cache:
            return await work(cache)

    return whole


async def inspected(cache: SecondLevelCache, name: str) -> Mapping[str, Any]:
    """Everything about an entry, or about the stamp of a tag."""
    entries = Entries(cache)
    bare = name.removeprefix(cache.entry_prefix).removeprefix(cache.stamp_prefix)
    if ":" not in bare:
        check_tag("KEY", bare)
        return {"tag": bare, "stamp": _shown_stamp((await entries.stamps([bare]))[bare])}
    namespace, _, rest = bare.partition(":")
    if namespace in batches():  # employee:42 for the entry of this version of the code
        bare = f"{batches()[namespace].policy.prefix}{rest}"
    if kind_of(bare) == HINTS and (hint := (await cache.as_stored([bare]))[0]) is not None:
        return {"entry": bare, "kind": "hint", "viewerFacts": shown_hint(hint)}
    try:
        entry = await entries.entry(bare)
        if entry is not None:
            return await _described(entries, bare, entry)
    except ValueError:
        return {"entry": bare, "usable": False, "why": ["it does not decode: it counts as a miss"]}
    if namespace in batches():
        raise RollcallError(f"KEY: nothing is stored as {name} now")
    raise RollcallError(
        "KEY: needed employee:42 for the entry of a lookup, the name of an entry in Redis, or a tag,"
        f" got {name!r}: there is no such entry; lookups: {', '.join(sorted(batches()))}"
    )


async def _described(entries: Entries, name: str, entry: Entry) -> Mapping[str, Any]:
    batch, fence = batch_of(name), await entries.fence()
    found: dict[str, Any] = {"entry": name, "size_bytes": entry.size_bytes, "life_s": entry.life_s}
    if kind_of(name) == ANSWERS:
        return found | await _rested(entries, fence, entry, tags_of(name, entry)) | shown_answer(entry)
    if batch is None:
        return found | {
            "usable": False,
            "why": ["it is of another version of the code"],
            "key": shown(entry.key),
            "value": shown(entry.value),
        }
    key = key_of(batch, entry.key)
    rested = await _rested(entries, fence, entry, dependencies(batch.policy.tags(key)))
    kind = {"loader": batch.policy.namespace, "kind": batch.policy.kind}
    value = named(batch.policy.decode(entry.value))
    return found | rested | kind | {"key": shown(entry.key), "value": value}


async def _rested(entries: Entries, fence: bytes | None, entry: Entry, tags: Sequence[str]) -> dict[str, Any]:
    """Whether an entry would be served, and the stamps that decide it."""
    now = await entries.raw_stamps(tags)
    why = _why_not(fence, entry, tags, now)
    return {
        "usable": not why,
        "why": why,
        "tags": {
            tag: {"stored": was.decode(), "now": None if stamp is None else stamp.decode()}
            for tag, was, stamp in zip(tags, entry.stamps, now, strict=True)
        },
    }


def _why_not(fence: bytes | None, entry: Entry, tags: Sequence[str], now: Sequence[bytes | None]) -> list[str]:
    """Why an entry is not served."""
    found = []
    if fence is None:
        found.append("the fence has lapsed: the cache is off")
    elif fence != entry.fence:
        found.append("it was stored in another epoch")
    for tag, was, stamp in zip(tags, entry.stamps, now, strict=True):
        if stamp is None:
            found.append(f"{tag} has no stamp any more")
        elif HELD in stamp:
            found.append(f"{tag} is held by a writer")
        elif stamp != was:
            found.append(f"{tag} has changed since")
    return found


def named(value: Any) -> Any:
    """A value as plain objects, whose rows name their columns."""
    if isinstance(value, msgspec.Struct):
        return {field: named(getattr(value, field)) for field in value.__struct_fields__}
    if isinstance(value, list | tuple | set | frozenset):
        return [named(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): named(item) for key, item in value.items()}
    return msgspec.to_builtins(value)


def _shown_stamp(stamp: Stamp | None) -> Mapping[str, Any] | None:
    if stamp is None:
        return None
    return {"nonce": stamp.nonce, "held_by": list(stamp.holders), "life_s": stamp.life_s}


async def invalidated(cache: SecondLevelCache, tags: Sequence[str], most: int, *, dry_run: bool) -> Mapping[str, Any]:
    """Give tags new stamps, and read them back; how many entries rested on them."""
    for tag in tags:
        check_tag("TAG", tag)
    entries = Entries(cache)
    before = await entries.raw_stamps(tags)
    found = {"tags": list(tags), "dry_run": dry_run, **await _resting_on(entries, set(tags), most)}
    if dry_run:
        return found
    await cache.restamp(tags)
    after = await entries.raw_stamps(tags)
    unchanged = [tag for tag, was, now in zip(tags, before, after, strict=True) if now is None or now == was]
    return found | {"restamped": len(tags) - len(unchanged), "unchanged": unchanged}


async def _resting_on(entries: Entries, tags: set[str], most: int) -> dict[str, int]:
    """How many of the entries (the first `most` of them) rest on any of the tags."""
    looked = found = 0
    async for names in entries.names(most):
        for name in names:
            looked += 1
            batch, entry = batch_of(name), await _entry(entries, name)
            if entry is not None:
                rests_on = dependencies(batch.policy.tags(key_of(batch, entry.key))) if batch else tags_of(name, entry)
                found += not tags.isdisjoint(rests_on)
    return {"entries": found, "looked_at": looked}


async def _entry(entries: Entries, name: str) -> Entry | None:
    try:
        return await entries.entry(name)
    except ValueError:
        return None
