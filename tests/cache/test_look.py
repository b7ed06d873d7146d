"""The one step in which readers find fence, stamps and entries, and in which missing stamps are made."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from cache.server import Server
from cache.tick import TickReader
from tests.coherence.valkey import Valkey, private_valkey

FENCE = "look:f"
STAMPS = ["look:s:1", "look:s:2"]


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with private_valkey() as found:
        yield found


@pytest.fixture
async def server(valkey: Valkey) -> AsyncIterator[Server]:
    found = Server(f"unix://{valkey.path}", timedelta(seconds=5))
    await found.ask("FLUSHALL")
    yield found
    await found.close()


async def look(server: Server, names: list[str], stamps: list[str]) -> list[bytes | None]:
    found: list[bytes | None] = (await TickReader(server, FENCE).read(names, stamps)).value
    return found


async def test_missing_stamps_are_made_once(server: Server) -> None:
    await server.ask("SET", FENCE, "fence")
    await server.ask("SET", STAMPS[0], "old")
    first = await look(server, [*STAMPS, "look:e", FENCE], STAMPS)
    assert (first[0], first[2], first[3]) == (b"old", None, b"fence")
    assert first[1] and first[1].startswith(b"r")
    assert await look(server, [FENCE, *STAMPS], STAMPS) == [b"fence", b"old", first[1]]
    assert 0 < (await server.ask("PTTL", STAMPS[1])).value <= 24 * 3600 * 1000


async def test_without_a_fence_nothing_is_made(server: Server) -> None:
    assert await look(server, [FENCE, *STAMPS], STAMPS) == [None, None, None]
    assert (await server.ask("DBSIZE")).value == 0


async def test_where_nothing_can_be_written_the_rest_is_told(server: Server) -> None:
    await server.ask("SET", FENCE, "fence")
    await server.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        assert await look(server, [FENCE, *STAMPS], STAMPS) == [b"fence", None, None]
    finally:
        await server.ask("CONFIG", "SET", "min-replicas-to-write", "0")


async def test_more_names_than_one_call_takes_keep_their_order(server: Server) -> None:
    names = [f"look:s:{number}" for number in range(2_500)]
    for number in (0, 997, 998, 999, 1_000, 1_999, 2_000, 2_499):
        await server.ask("SET", names[number], str(number))
    await server.ask("SET", FENCE, "fence")
    found = await look(server, names, names[::2])
    told = {number: value for number, value in enumerate(found) if value is not None and value[:1] != b"r"}
    assert told == {number: b"%d" % number for number in (0, 997, 998, 999, 1_000, 1_999, 2_000, 2_499)}
    made = [value for value in found if value and value[:1] == b"r"]
    assert len(made) == len(set(made)) == 1_250 - 4
