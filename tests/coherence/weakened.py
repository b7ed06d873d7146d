"""The protocol with one safeguard taken out: the checker has to find what that one prevents."""

from collections.abc import Callable, Sequence
from typing import Any

import cache.second_level
import db.coherence
import loaders.unit_of_work
from cache.second_level import SecondLevelCache


def weaken(safeguard: str) -> None:
    """Take `safeguard` out of this process for good; "" leaves the protocol whole."""
    if safeguard:
        WEAKENED[safeguard]()


def _without_hold() -> None:
    async def hold(self: SecondLevelCache, xid: str, tags: Sequence[str], home: str) -> bool:
        return True

    SecondLevelCache.hold = hold  # type: ignore[method-assign]


def _without_suspension() -> None:
    async def suspended(*_: Any) -> None:
        return

    loaders.unit_of_work._suspended = suspended  # type: ignore[assignment]


def _without_drain() -> None:
    """The fence is kept alive, but nothing is restamped."""
    whole = db.coherence.drain

    async def drain(connection: Any, epoch: int) -> tuple[str, list[tuple[str, str]]]:
        return (await whole(connection, epoch))[0], []

    db.coherence.drain = drain


def _without_stamps() -> None:
    cache.second_level._payload = lambda entry, fence, now: (
        None if entry is None else bytes(cache.second_level._Entry.decode(entry)[2])
    )


def _without_release() -> None:
    """Delete-after-commit in its simplest form: neither held before nor restamped after, only drained."""

    async def release(self: SecondLevelCache, xid: str, tags: Sequence[str]) -> None:
        return

    _without_hold()
    SecondLevelCache.release = release  # type: ignore[method-assign]


WEAKENED: dict[str, Callable[[], None]] = {
    "hold": _without_hold,
    "suspension": _without_suspension,
    "drain": _without_drain,
    "stamps": _without_stamps,
    "hold and release": _without_release,
}
