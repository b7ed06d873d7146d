"""Redis loses its data, or gets older ones, while it goes on running: its run_id is the same, and yet it is another."""

import asyncio
from collections.abc import Iterator

import pytest

from cache.server import SHA
from tests.cluster.conftest import free_port
from tests.coherence.many_valkeys import open_plain_worker
from tests.coherence.valkey import Valkey, private_valkey
from tests.coherence.worker import Worker, open_worker
from tests.deploy.engines import talk, until
from tests.kit.sequencer import within

RELEASE = SHA["release"].encode()
AT_ONCE = {"repl-diskless-sync-delay": "0"}


@pytest.fixture
def debugged_valkey() -> Iterator[Valkey]:
    """A Valkey that may be told to read what it has saved again."""
    with private_valkey(dbfilename="dump.rdb", **{"enable-debug-command": "yes"}) as found:
        yield found


async def test_data_that_went_back_are_of_another_redis(database_url: str, debugged_valkey: Valkey) -> None:
    async with open_worker(database_url, debugged_valkey.path, "test") as worker:
        assert await worker.drain()
        assert await worker.name() == "name 1"
        debugged_valkey.ask("SAVE")
        await worker.rename("new")
        assert await worker.drain(), "the outbox is empty"
        debugged_valkey.ask("DEBUG RELOAD NOSAVE")
        assert await worker.drain()
        assert await worker.name() == "new"


async def test_a_redis_that_followed_another_and_serves_again_is_another_one(database_url: str) -> None:
    first_port, second_port = free_port(), free_port()
    with (
        private_valkey(port=str(first_port), **AT_ONCE) as first,
        private_valkey(port=str(second_port), **AT_ONCE) as second,
    ):
        async with open_worker(database_url, first.path, "test") as worker:
            assert await worker.drain()
            assert await worker.name() == "name 1"
            await _serve_what_another_has(second, second_port, first_port)
            await worker.rename("new")
            assert await worker.drain()
            await _serve_what_another_has(first, first_port, second_port)
            assert await worker.drain()
            assert await worker.name() == "new"


async def _serve_what_another_has(valkey: Valkey, port: int, other_port: int) -> None:
    valkey.ask(f"REPLICAOF 127.0.0.1 {other_port}")

    async def follows() -> bool:
        return bool((await talk(port, "INFO", "replication")).get("master_link_status") == "up")

    await until(follows, "it follows")
    valkey.ask("REPLICAOF NO ONE")


async def test_a_flush_between_hold_and_commit_lets_nobody_be_told_the_old_value(
    worker: Worker, other: Worker, valkey: Valkey
) -> None:
    await worker.name()
    at_commit, at_release = other.postgres.stop_before(b"COMMIT"), other.redis.stop_before(RELEASE)
    writing = asyncio.create_task(other.rename("new"))
    await within(at_commit.reached.wait())
    valkey.ask("FLUSHALL")
    draining = asyncio.create_task(worker.drain())
    await asyncio.wait([draining], timeout=0.2)
    assert await worker.name() == "name 1", "which is true until the COMMIT"
    at_commit.go_on()
    await within(at_release.reached.wait())
    assert await worker.psql("SELECT full_name FROM employee WHERE id = 1") == [("new",)]
    await draining
    assert await worker.name() == "new"
    at_release.go_on()
    await writing


async def test_a_drain_whose_commit_fails_loses_no_epoch(worker: Worker) -> None:
    """It has left its name in Redis, where the one before it is known as well."""
    await worker.psql("UPDATE employee SET full_name = 'new' WHERE id = 1")
    assert await worker.drain()
    [before] = await worker.psql("SELECT epoch FROM cache_state")
    await worker.psql("UPDATE employee SET full_name = 'newer' WHERE id = 1")
    at_commit = worker.postgres.stop_before(b"COMMIT")
    draining = asyncio.create_task(worker.drain())
    await within(at_commit.reached.wait())
    at_commit.drop()
    await asyncio.gather(draining, return_exceptions=True)
    for _ in range(2):
        assert await worker.drain()
    assert await worker.name() == "newer" and await worker.from_cache()
    assert await worker.psql("SELECT epoch FROM cache_state") == [before]


@pytest.mark.parametrize(("address", "prefix"), [("", "blue"), ("?db=1", "rollcall")])
async def test_another_place_in_the_same_redis_is_another_one(
    database_url: str, valkey: Valkey, address: str, prefix: str
) -> None:
    """Who was told another CACHE_PREFIX, or another database of Redis, holds nothing that the others look at."""
    url = f"unix://{valkey.path}"
    async with (
        open_plain_worker(database_url, url, "rollcall") as here,
        open_plain_worker(database_url, url + address, prefix) as there,
    ):
        assert await here.drain()
        assert await here.name() == "name 1"
        await there.rename("new")
        assert await here.name() == "new"
        await there.drain()
        await there.psql("UPDATE employee SET full_name = 'newer' WHERE id = 1")
        await there.drain()
        await here.drain()
        assert await here.name() == "newer"
