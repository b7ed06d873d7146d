"""Finds the Redis of a place: where most Sentinels say that it is, or the node of a Cluster that has our slot."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from cache.patience import patient
from cache.place import Node, Place, place_of

Locate = Callable[[], Awaitable[Node]]


class LocatedConnection(Connection):
    """Asks where its server is whenever it connects."""

    def __init__(self, *, locate: Locate, **options: Any) -> None:
        self._locate = locate
        super().__init__(**options)

    async def _connect(self) -> None:
        self.host, self.port = await self._locate()
        await super()._connect()  # type: ignore[no-untyped-call]


class LocatedTlsConnection(LocatedConnection, SSLConnection):
    """The same with TLS."""


class Locator:
    """Finds the server of a place that has several nodes; `key` is any key of ours, since all are in one slot."""

    def __init__(self, place: Place, key: str, timeout_s: float) -> None:
        self._place = place
        self._slot = key_slot(key.encode())
        self._told: Node | None = None
        given: dict[str, Any] = dict(parse_url(place.url))
        if place.kind == "sentinel":
            given = {name: value for name, value in given.items() if name.startswith("ssl_")} | place.sentinel_account
        self._connection_class = SSLConnection if place.url.startswith("rediss:") else Connection
        kept = {name: value for name, value in given.items() if name not in ("connection_class", "host", "port", "db")}
        self._timeout_s = timeout_s
        self._options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None, **kept}

    def told(self, node: Node | None) -> None:
        """A node said who has the slot: go there first, once."""
        self._told = node

    async def locate(self) -> Node:
        """Where to connect to now; raises ConnectionError of redis-py when nobody knows."""
        if self._told is not None:
            node, self._told = self._told, None
            return node
        if self._place.kind == "sentinel":
            return await self._named_by_sentinels()
        return await self._owner()

    async def _named_by_sentinels(self) -> Node:
        """What most of them say; as soon as more than half agree nobody else is waited for."""
        votes: Counter[Node] = Counter()
        nodes = self._place.nodes
        asked = [asyncio.ensure_future(self._ask(node, self._of_sentinel)) for node in nodes]
        try:
            for answer in asyncio.as_completed(asked):
                named = await answer
                if named is not None:
                    votes[named] += 1
                    if votes[named] * 2 > len(nodes):
                        return named
        finally:
            for task in asked:
                task.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        if not votes:
            raise RedisConnectionError(f"no Sentinel of {len(nodes)} knows where {self._place.primary!r} is")
        return votes.most_common(1)[0][0]

    async def _owner(self) -> Node:
        for node in self._place.nodes:
            found = await self._ask(node, self._of_slot)
            if found is not None:
                return found
        raise RedisConnectionError(f"no node of {len(self._place.nodes)} asked knows who has our slot of the Cluster")

    async def _of_sentinel(self, connection: Connection) -> Node | None:
        await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._place.primary)
        found = await connection.read_response()
        return Node(_text(found[0]), int(found[1])) if found else None

    async def _of_slot(self, connection: Connection) -> Node | None:
        await connection.send_command("CLUSTER", "SLOTS")
        for first, last, (host, port, *_), *_ in await connection.read_response():
            if first <= self._slot <= last:
                return Node(_text(host) or connection.host, int(port))
        return None

    async def _ask(self, node: Node, question: Callable[[Connection], Awaitable[Node | None]]) -> Node | None:
        """The answer of a node, None when it has none or is not there."""
        connection = self._connection_class(host=node.host, port=node.port, **self._options)
        try:
            async with patient(self._timeout_s):
                await connection.connect()  # type: ignore[no-untyped-call]
                return await question(connection)
        except (RedisError, OSError, TimeoutError):
            return None
        finally:
            await connection.disconnect(nowait=True)


def ways_to(url: str, prefix: str, timeout_s: float) -> tuple[dict[str, Any], Locator | None]:
    """The options of redis-py for connections to an address, and who finds it where it may move."""
    place = place_of(url)
    options: dict[str, Any] = dict(parse_url(place.url))
    if place.kind == "address":
        return options, None
    locator = Locator(place, prefix, timeout_s)
    located = LocatedTlsConnection if place.url.startswith("rediss:") else LocatedConnection
    return options | {"connection_class": located, "locate": locator.locate}, locator


def part_at(url: str, prefix: str) -> str:
    """Which part of a server an address and a prefix lead to; "" for the usual one.

    It is added to the run_id: who writes in another part of the same server holds nothing that is looked at here.
    """
    database = parse_url(place_of(url).url).get("db", 0)
    if (database, prefix) == (0, "rollcall"):
        return ""
    return f"-{hashlib.blake2b(f'{database}/{prefix}'.encode(), digest_size=6).hexdigest()}"


def moved_to(error: ResponseError) -> Node | None:
    """The node that has our slot, if that is what an error says."""
    host, port = getattr(error, "host", None), getattr(error, "port", None)
    return Node(str(host), int(port)) if host and port else None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")
