"""`rollcall cache health`: usable or not, and why not."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex

import pytest

from cache.second_level import SecondLevelCache
from cache.server import Server
from db.database import Database
from loaders.drain import drain_once
from ops.cache_command import problems
from tests.cluster.conftest import Start, start
from tests.cluster.test_status import TOKEN, watched
from tests.coherence.valkey import private_valkey
from tests.kit.databases import Databases
from tests.kit.rig import PATIENCE
from tests.ops.commands import answered, rollcall, rollcall_beside

__all__ = ["start"]

DATABASE = {"up": True, "cache_run_id": "a", "outbox_age_s": 0.0}
REDIS = {"up": True, "fence_s": 1.5, "run_id": "a"}


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    made = databases.new()
    yield made
    databases.drop(made)


def drain(url: str, redis_url: str, prefix: str) -> None:
    async def once() -> None:
        database, cache = Database(url), SecondLevelCache(Server(redis_url, PATIENCE, prefix=prefix), prefix)
        try:
            assert await drain_once(database, cache)
        finally:
            await cache.close()
            await database.close()

    asyncio.run(once())


def test_usable_while_a_service_drains(url: str, databases: Databases) -> None:
    prefix = f"test-{token_hex(6)}"
    given = {"DATABASE_URL": url, "REDIS_URL": databases.redis_url, "CACHE_PREFIX": prefix}
    before = rollcall("cache", "health", "--json", **given)
    assert before.exit_code == 1
    assert answered(before)["problems"][0] == "the fence has lapsed: no service drains the outbox (is one running?)"
    drain(url, databases.redis_url, prefix)
    after = rollcall("cache", "health", "--json", **given)
    found = answered(after)
    assert (found["usable"], found["problems"], after.exit_code) == (True, [], 0)
    assert 0 < found["redis"]["fence_s"] <= 2
    assert found["database"]["outbox_rows"] == 0


@pytest.mark.parametrize(
    ("database", "redis", "expected"),
    [
        ({}, {}, []),
        ({"cache_suspended": True}, {}, ["a writer suspended the cache a moment ago, since Redis did not answer it"]),
        ({"outbox_age_s": 9.0}, {}, ["the outbox was not drained for 9 s"]),
        ({"cache_run_id": "b"}, {}, ["the fence was made on another Redis than REDIS_URL names"]),
        ({"up": False, "error": "gone"}, {}, ["gone"]),
        ({}, {"up": False, "error": "no answer"}, ["no answer"]),
        ({}, {"up": False, "off": True}, ["the cache is off: set REDIS_URL, and CACHE=on"]),
    ],
)
def test_problems(database: dict[str, object], redis: dict[str, object], expected: list[str]) -> None:
    assert problems({"database": DATABASE | database, "redis": REDIS | redis}) == expected


def test_nothing_answers() -> None:
    given = {"DATABASE_URL": "postgresql://u:geheim@127.0.0.1:1/x", "REDIS_URL": "redis://:geheim@127.0.0.1:1/0"}
    result = rollcall("cache", "health", **given)
    assert result.exit_code == 3
    [database, redis] = result.output.splitlines()
    assert database.startswith("DATABASE_URL: needed a PostgreSQL that answers, got postgresql://u:***@127.0.0.1:1/x: ")
    assert redis.startswith("REDIS_URL: needed a Redis that answers, got redis://:***@127.0.0.1:1/0: Error 111 ")


def test_a_redis_that_refuses_is_told_from_one_that_does_not_answer(url: str) -> None:
    with private_valkey() as valkey:
        given = {"DATABASE_URL": url, "REDIS_URL": f"unix://{valkey.path}"}
        valkey.ask("ACL SETUSER default -dbsize")
        found = answered(rollcall("cache", "health", "--json", **given))
    assert [problem.partition(", got")[0] for problem in found["problems"]] == [
        "REDIS_URL: needed a user with the rights in docs/operate/commands.md"
    ]


def test_the_variable_and_the_address_of_sentinels_are_named_without_their_passwords(url: str) -> None:
    given = {"REDIS_SENTINELS": "127.0.0.1:1", "REDIS_SENTINEL_PASSWORD": "geheim", "REDIS_PASSWORD": "geheim"}
    found = answered(rollcall("cache", "health", "--json", DATABASE_URL=url, **given))
    assert found["problems"] == [
        "REDIS_SENTINELS: needed a Redis that answers,"
        " got redis+sentinel://:***@127.0.0.1:1/mymaster?sentinel_password=***:"
        " no Sentinel of 1 knows where 'mymaster' is; start it or correct it"
    ]


async def test_stats_come_from_the_status_port(start: Start) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    given = {"STATUS_PORT": cluster.status_port, "STATUS_TOKEN": TOKEN}
    found = answered(await rollcall_beside("cache", "stats", "--json", **given))
    assert set(found) >= {"loaders", "viewers", "bypasses", "writes", "verified", "fence_s", "outbox_age_s"}
    shown = (await rollcall_beside("cache", "stats", **given)).stdout
    for line in (
        "Loaders",
        "Whole answers",
        "past the cache: none",
        "stale: none",
        "fence: none, so the cache is off: rollcall cache health says why",
        "outbox: 3 waiting",
        "memory: –",
        "writes (tags held",
        "tags held now: 0",
    ):
        assert line in shown, shown
