"""Connections to Redis: kept, lent out one command at a time, replaced when they have ended."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
import uvloop

from cache.server import CacheUnreachable, Server
from telemetry.counters import counters
from tests.coherence.valkey import Valkey, private_valkey
from tests.kit.proxy import Proxy, proxy_to
from tests.kit.sequencer import within

PATIENT = timedelta(seconds=5)
MOST = 3


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with private_valkey() as found:
        yield found


@pytest.fixture
async def proxy(valkey: Valkey) -> AsyncIterator[Proxy]:
    async with proxy_to(valkey.path) as found:
        yield found


@pytest.fixture
async def server(proxy: Proxy) -> AsyncIterator[Server]:
    found = Server(f"redis://127.0.0.1:{proxy.port}", PATIENT, MOST)
    await found.mget(["warm"])
    yield found
    await found.close()


def made(valkey: Valkey) -> int:
    """Connections that were ever made to a Valkey, but for the one that asks."""
    with valkey.client as client:
        return int(client.info("stats")["total_connections_received"]) - 1


async def test_one_connection_is_used_again_and_again(server: Server, valkey: Valkey) -> None:
    before = made(valkey)
    assert [(await server.mget([name])).value for name in "abc"] == [[None]] * 3
    assert made(valkey) == before + 1


async def test_no_more_connections_than_allowed(server: Server, valkey: Valkey) -> None:
    before = made(valkey)
    answers = await asyncio.gather(*(server.ask("ECHO", f"{number}") for number in range(20)))
    assert [answer.value for answer in answers] == [str(number).encode() for number in range(20)]
    assert made(valkey) == before + MOST


async def test_values_of_every_kind_arrive_as_they_were_sent(server: Server) -> None:
    value = bytes(range(256)) * 4_000
    assert (await server.ask("SET", "größe", value, "PX", 60_000)).value == b"OK"
    assert (await server.mget(["größe", "none"])).value == [value, None]
    assert (await server.delete(["größe"])).value == 1


async def test_a_connection_that_ended_while_nobody_used_it_is_no_failure(valkey: Valkey) -> None:
    """Not even when our loop, which would be told, had no turn since."""
    server = Server(f"unix://{valkey.path}", PATIENT)
    await server.mget(["warm"])
    failures = counters.copy()
    with valkey.client as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert (await server.mget(["x"])).value == [None]
    assert server.breaker.state == "closed"
    assert counters == failures
    await server.close()


async def test_a_connection_that_ends_under_a_command_is_a_failure_of_that_command(
    server: Server, proxy: Proxy
) -> None:
    proxy.lose_answer_to(b"lost")
    with pytest.raises(CacheUnreachable):
        await within(server.ask("ECHO", "lost"))
    assert server.breaker.state == "open"


async def test_who_gives_up_leaves_its_answer_to_nobody(server: Server, proxy: Proxy) -> None:
    stop = proxy.stop_before(b"first")
    asking = asyncio.create_task(server.ask("ECHO", "first"))
    await within(stop.reached.wait())
    asking.cancel()
    await asyncio.wait([asking])
    stop.go_on()
    assert (await server.ask("ECHO", "second")).value == b"second"
    assert server.breaker.state == "closed"


async def test_what_is_no_answer_of_redis_is_a_failure() -> None:
    async def chatter(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(chatter, "127.0.0.1", 0)
    server = Server(f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}", PATIENT)
    with pytest.raises(CacheUnreachable):
        await within(server.mget(["x"]))
    await server.close()
    listening.close()


def test_it_speaks_under_the_loop_of_the_service(valkey: Valkey) -> None:
    async def spoken() -> list[object]:
        server = Server(f"unix://{valkey.path}", PATIENT)
        found = [(await server.ask("ECHO", "one")).value]
        with valkey.client as client:
            client.client_kill_filter(_type="normal", skipme=True)
        found += [(await server.ask("ECHO", "two" * 100_000)).value, server.breaker.state]
        await server.close()
        return found

    assert uvloop.run(spoken()) == [b"one", b"two" * 100_000, "closed"]


async def test_after_close_it_connects_anew(server: Server, valkey: Valkey) -> None:
    before = made(valkey)
    await server.close()
    assert (await server.mget(["x"])).value == [None]
    assert made(valkey) == before + 2
