"""The newest position of PostgreSQL that the stamps know of: what a replica must have replayed to be asked.

It lives in Redis beside the stamps, and is raised in the same scripts that give them. Until a drain that began after it
was made has gone by, it may be too low, and is not believed.
"""

from collections.abc import Collection
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from domain.consistency import Position

VERIFIED: Final = b"0"


class LastFence(msgspec.Struct, frozen=True):
    """The fence that this process saw or renewed last; `suspended`: it was not to live, some writer cannot hold."""

    value: bytes
    suspended: bool = False


class Sight(NamedTuple):
    """What a look saw that tells what is newest: of which server, under which fence, and which tags were held."""

    run_id: str
    newest: bytes | None
    fence: LastFence | None
    held: Collection[str]


class Needed(msgspec.Struct, frozen=True):
    """What a replica must have to be asked; `held`: a write of what is asked for may be under way, or not in it yet."""

    position: Position
    held: bool


@lru_cache(maxsize=16)
def newest_of(value: bytes | None, fence: bytes | None) -> Position | None:
    """The newest position under a fence, None when it is not known for certain."""
    if value is None or fence is None:
        return None
    of_fence, since, server, timeline, lsn = value.split(b"|")
    if of_fence != fence or since != VERIFIED:
        return None
    return Position(server.decode(), int(timeline), int(lsn))


def needed_of(sight: Sight) -> Needed | None:
    """What a replica must have, by what was seen; None when that is not known for certain.

    After the fence has lapsed what was newest under it is still true of the server that it lived on.
    """
    run_id, newest, fence, held = sight
    position = newest_of(newest, fence.value) if fence else None
    if position is None or fence is None or not fence.value.startswith(f"{run_id}.".encode()):
        return None
    return Needed(position, bool(held) or fence.suspended)


def as_arguments(position: Position | None) -> tuple[str, int, int] | tuple[()]:
    """A position as the scripts take it."""
    return (position.server, position.timeline, position.lsn) if position else ()
