"""Addresses of Redis: what they are read as, and who is believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio.connection import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError

from cache.addresses import LocatedConnection, LocatedTlsConnection, Locator, ways_to
from cache.place import Node, place_of
from cache.server import CacheUnreachable, Server
from tests.kit.loop_time import standing_loop_time


def test_sentinels_with_accounts_of_both_kinds() -> None:
    place = place_of("redis+sentinel://app:p%40ss@s1:1,[::1]:2,s3/main/4?sentinel_username=w&sentinel_password=p%26w")
    assert (place.kind, place.primary) == ("sentinel", "main")
    assert place.nodes == (Node("s1", 1), Node("::1", 2), Node("s3", 26379))
    assert place.sentinel_account == {"username": "w", "password": "p&w"}
    options, _ = ways_to("redis+sentinel://app:p%40ss@s1:1/main/4?sentinel_username=w", "key", 1)
    assert (options["username"], options["password"], options["db"]) == ("app", "p@ss", 4)
    assert options["connection_class"] is LocatedConnection


def test_a_cluster_with_tls() -> None:
    url = "rediss+cluster://app:secret@n1:7001,n2?ssl_ca_certs=/ca.pem"
    place = place_of(url)
    assert (place.kind, place.nodes) == ("cluster", (Node("n1", 7001), Node("n2", 6379)))
    options, _ = ways_to(url, "key", 1)
    assert (options["username"], options["ssl_ca_certs"]) == ("app", "/ca.pem")
    assert options["connection_class"] is LocatedTlsConnection


def test_one_address_keeps_what_it_always_had() -> None:
    options, locator = ways_to("rediss://app:secret@host:1/2", "key", 1)
    account = {"username": "app", "password": "secret"}
    assert options == account | {"host": "host", "port": 1, "db": 2, "connection_class": SSLConnection}
    assert locator is None


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://s1:1",
        "redis+sentinel:///main",
        "redis+sentinel://s1:1/main/0/more",
        "redis+sentinel://s1:1/main/zero",
        "redis+sentinel://s1:99999/main",
        "redis+cluster://n1/1",
        "redis+cluster://",
        "redis+cluster://a b",
        "unix+sentinel://s1/main",
        "redis+other://s1/main",
    ],
)
def test_what_an_address_lacks_is_said(url: str) -> None:
    with pytest.raises(ValueError, match=r"like (redis\+|host1)"):
        place_of(url)


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[Node]:
    """A Sentinel that gives one answer to whatever it is asked."""

    writers: set[asyncio.StreamWriter] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        while data := await reader.read(1000):
            hello = b"*2\r\n$5\r\nproto\r\n:2\r\n" if b"HELLO" in data else b""
            writer.write(hello or (b"+OK\r\n" * data.count(b"SETINFO") + (answer if b"SENTINEL" in data else b"")))
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield Node("127.0.0.1", server.sockets[0].getsockname()[1])
        for writer in writers:
            writer.transport.abort()


def naming(port: int) -> bytes:
    return b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%d\r\n" % (len(str(port)), port)


def locator(*nodes: Node, timeout_s: float = 5) -> Locator:
    hosts = ",".join(f"{node.host}:{node.port}" for node in nodes)
    return Locator(place_of(f"redis+sentinel://{hosts}/main?protocol=2"), "key", timeout_s)


async def test_the_majority_of_the_sentinels_is_believed() -> None:
    """One that is cut off from the others still names the server that was primary before."""
    async with saying(naming(1111)) as old, saying(naming(2222)) as new, saying(naming(2222)) as other:
        assert await locator(old, new, other).locate() == Node("127.0.0.1", 2222)


async def test_a_sentinel_that_is_silent_is_not_waited_for() -> None:
    async with saying(b"") as silent, saying(naming(2222)) as new, saying(naming(2222)) as other:
        assert await locator(silent, new, other, timeout_s=60).locate() == Node("127.0.0.1", 2222)


@pytest.mark.parametrize("turns", range(8))
async def test_a_sentinel_is_not_silent_while_the_own_loop_is_busy(turns: int) -> None:
    async with saying(naming(2222)) as one:
        with standing_loop_time() as time:
            asking = asyncio.create_task(locator(one, timeout_s=0.1).locate())
            for _ in range(turns):
                await asyncio.sleep(0)
            time.forward(0.3)
            assert await asking == Node("127.0.0.1", 2222)


async def test_where_no_sentinel_knows_the_primary_that_is_said() -> None:
    async with saying(b"*-1\r\n") as knows_nothing:
        with pytest.raises(RedisConnectionError, match="no Sentinel of 1 knows where 'main' is"):
            await locator(knows_nothing).locate()


async def test_sentinels_that_are_away_are_a_cache_that_is_away() -> None:
    server = Server("redis+sentinel://127.0.0.1:1/main")
    with pytest.raises(CacheUnreachable):
        await server.mget(["x"])
    assert server.breaker.state == "open"
    await server.close()
