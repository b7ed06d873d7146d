"""What stands in Redis under the prefix of an installation, for operators: names, entries, stamps."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from cache.reading import HELD, decode_entry
from cache.second_level import SecondLevelCache
from cache.server import Server

AT_ONCE: Final = 500


class Entry(msgspec.Struct, frozen=True):
    """An entry as it stands in Redis."""

    fence: bytes
    stamps: list[bytes]
    value: bytes
    key: bytes
    size_bytes: int
    life_s: float


class Stamp(msgspec.Struct, frozen=True):
    """The stamp of a tag; `holders` are the transactions that hold it."""

    nonce: str
    holders: tuple[str, ...]
    life_s: float


class Entries:
    """Reads what a cache has stored."""

    def __init__(self, cache: SecondLevelCache) -> None:
        assert cache.server is not None
        self._cache = cache
        self._server: Server = cache.server

    async def names(self, most: int) -> AsyncIterator[Sequence[str]]:
        """Names of entries, without what all begin with, some hundreds at a time; `most` at most."""
        prefix, cursor = self._cache.entry_prefix, b"0"
        while most > 0:
            found = await self._server.ask("SCAN", cursor, "MATCH", f"{_literal(prefix)}*", "COUNT", AT_ONCE)
            cursor, raw = found.value
            names = [name.decode().removeprefix(prefix) for name in raw][:most]
            most -= len(names)
            if names:
                yield names
            if cursor == b"0":
                return

    async def entry(self, name: str) -> Entry | None:
        """An entry; None without one. Raises ValueError when it does not decode."""
        key = self._cache.entry_prefix + name
        raw = (await self._server.mget([key])).value[0]
        if raw is None:
            return None
        fence, stamps, value, own_key = decode_entry(raw)
        return Entry(fence, stamps, bytes(value), bytes(own_key), len(raw), await self._life_s(key))

    async def fence(self) -> bytes | None:
        """What the fence says now."""
        found: bytes | None = (await self._server.mget([self._cache.fence_name])).value[0]
        return found

    async def stamps(self, tags: Sequence[str]) -> Mapping[str, Stamp | None]:
        """The stamps of tags as they are now."""
        names = [self._cache.stamp_prefix + tag for tag in tags]
        values: list[bytes | None] = (await self._server.mget(names)).value
        return {
            tag: None if value is None else _stamp(value, await self._life_s(name))
            for tag, name, value in zip(tags, names, values, strict=True)
        }

    async def raw_stamps(self, tags: Sequence[str]) -> list[bytes | None]:
        """The same as bytes, in their order."""
        found: list[bytes | None] = (await self._server.mget([self._cache.stamp_prefix + tag for tag in tags])).value
        return found

    async def _life_s(self, name: str) -> float:
        life_ms: int = (await self._server.ask("PTTL", name)).value
        return max(0, life_ms) / 1000


def _stamp(value: bytes, life_s: float) -> Stamp:
    nonce, *holds = value.split(HELD)
    return Stamp(nonce.decode(), tuple(hold.partition(b"@")[0].decode() for hold in holds), life_s)


def _literal(text: str) -> str:
    """A text in which no character stands for others, as SCAN has it."""
    return "".join(f"\\{character}" if character in "[]*?\\" else character for character in text)


def shown(value: bytes) -> Any:
    """The bytes of a value or of a key as plain lists, texts and numbers."""
    return msgspec.to_builtins(msgspec.msgpack.decode(value))
