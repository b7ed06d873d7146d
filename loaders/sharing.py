"""Equal misses of a dear lookup make one statement: over the requests of a worker, and over all workers.

Requests share what is under way when they saw the stamps that it is made under: what it gives is then theirs as an
entry would be. Workers take leases; who gets none waits for the entry, and takes it only as every reader does.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from contextvars import Context
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypeVar

from cache.flights import Flight
from cache.leases import Lease
from cache.policy import Policy
from cache.reading import Reading
from cache.second_level import SecondLevelCache
from telemetry.counters import count

T = TypeVar("T")

LONGEST_WAIT: Final = timedelta(seconds=5)
"""For another worker that lives and does not get done; then everybody asks the database."""


class Loaded(NamedTuple):
    """What the database said, and whether that may be stored under the ticket of the reading."""

    values: dict[Any, Any]
    storable: bool


Load = Callable[[Reading[Any, Any]], Awaitable[Loaded]]
"""Asks the database for the misses of a reading."""


async def shared(cache: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], load: Load) -> Loaded:
    """The misses of a reading, made here or by whoever is at it already; they are stored as well."""
    names = cache.fill_names(reading)
    under_way: dict[Flight[Loaded], None] = {}
    new = []
    for key in reading.misses:
        flight = cache.flights.get(names[key]) if key in names else None
        if flight is None:
            new.append(key)
        else:
            under_way[flight] = None
            count("cache_shared", policy.namespace)
    if new:
        making = _made(cache, policy, reading.only(new), load)
        under_way[cache.flights.begin([names[key] for key in new if key in names], making)] = None
    outcomes = await together([flight.outcome() for flight in under_way])
    found = {key: value for outcome in outcomes for key, value in outcome.values.items()}
    return Loaded({key: found[key] for key in reading.misses}, all(outcome.storable for outcome in outcomes))


def renew_early(cache: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], load: Load) -> None:
    """Make the entries anew whose life is about to end, unless somebody is at it; nobody waits for them."""
    names = cache.fill_names(reading.only(reading.early))
    if new := [key for key, name in names.items() if cache.flights.get(name) is None]:
        count("cache_renewed", policy.namespace, len(new))
        work = _made(cache, policy, reading.only(new), load)
        making = cache.flights.begin([names[key] for key in new], work, Context())  # of no request's statements
        cache.later(_renewed(making))


async def _renewed(making: Flight[Loaded]) -> None:
    with suppress(Exception):  # it is still there for whoever asks for it next, and the failure will be as well
        await making.outcome()


async def _made(cache: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], load: Load) -> Loaded:
    found: dict[Any, Any] = {}
    storable, token = True, secrets.token_hex(8)
    deadline_s = asyncio.get_running_loop().time() + LONGEST_WAIT.total_seconds()
    while True:
        names = cache.fill_names(reading)
        lease = await _taken(cache, Lease(token, tuple(names.values())), deadline_s)
        others = [key for key, name in names.items() if name not in lease.names]
        if mine := [key for key in reading.misses if key not in others]:
            loaded = await _filled(cache, policy, reading.only(mine), load, lease)
            found |= loaded.values
            storable &= loaded.storable
        if not others or cache.leases is None:
            return Loaded(found, storable)
        count("cache_waits", policy.namespace, len(others))
        await cache.leases.gone([names[key] for key in others], deadline_s)
        reading = await cache.read(policy, others)
        found |= reading.hits
        if not reading.misses:
            return Loaded(found, storable)


async def _taken(cache: SecondLevelCache, wanted: Lease, deadline_s: float) -> Lease:
    """The leases that are ours; all of them once the time to wait is over."""
    if cache.leases is None or not wanted.names or asyncio.get_running_loop().time() >= deadline_s:
        return wanted
    return await cache.leases.take(wanted)


async def _filled(
    cache: SecondLevelCache, policy: Policy[Any, Any], reading: Reading[Any, Any], load: Load, lease: Lease
) -> Loaded:
    """Load, store, and give the lease back, whatever happens."""
    assert cache.leases is not None or not lease.names
    begun_s = time.monotonic()
    try:
        if cache.leases is None:
            return await load(reading)
        async with cache.leases.kept(lease):
            loaded = await load(reading)
    except BaseException:
        cache.fill_later(policy, reading, {}, lease)
        raise
    cost = timedelta(seconds=time.monotonic() - begun_s)
    cache.fill_later(policy, reading, loaded.values if loaded.storable else {}, lease, cost)
    return loaded


async def together(work: Collection[Awaitable[T]]) -> list[T]:
    """The results of all, without a task where there is but one."""
    return [await one for one in work] if len(work) == 1 else await asyncio.gather(*work)
