"""Whatever happens to Redis under people who ask and write through HTTP: no request fails, and no answer is old.

Each fault strikes a real Valkey below the whole service, while three kinds of viewers ask all the time. Failovers by
Sentinel and the resharding of a Cluster are in test_sentinel_and_cluster.py, single steps in test_redis_faults.py.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Final

import pytest

from cache import second_level
from cache.breaker import Breaker
from db.database import Database, PoolLimits
from db.where import statement
from loaders.drain import drain_once
from telemetry.counters import counters
from tests.coherence.valkey import Valkey, private_valkey
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.proxy import Proxy, proxy_to
from tests.kit.round_trips import recorded
from tests.kit.small_company import EMPLOYEE, HR, MANAGER, MUMBAI, NOW
from tests.mutations.changing import location
from tests.responses.conftest import fresh_url
from tests.responses.service import Service, open_service, status

__all__ = ["fresh_url"]

QUERY: Final = "{ locations { name } }"
USERS: Final = (HR, MANAGER, EMPLOYEE)
TIGHT_MS: Final = "100"
AS_IF_OVER: Final = statement("over", "UPDATE cache_state SET suspended_until = clock_timestamp()")
BLOCKED: Final = statement(
    "blocked",
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
)
OUTSIDE: Final = statement("outside", "UPDATE location SET name = :name WHERE id = 1")


class Ground:
    """The service, its Valkey and the proxy between them."""

    def __init__(self, service: Service, valkey: Valkey, proxy: Proxy) -> None:
        self.service = service
        self.valkey = valkey
        self.proxy = proxy

    async def told(self, user: str = HR) -> str:
        """The number in the name of the location, as somebody is told it."""
        found = (await self.service.data(QUERY, user))["locations"]
        [name] = [row["name"] for row in found if row["name"].startswith("Mumbai")]
        return str(name)

    async def rename(self, number: int) -> None:
        """A mutation that has to succeed."""
        await self.service.change("saveLocation", HR, id=location(MUMBAI), name=f"Mumbai {number}")

    async def until_hit(self) -> None:
        """Wait until answers come from the cache again; then there is nothing left in the outbox."""
        async with asyncio.timeout(30):
            while True:
                answer = await self.service.ask(QUERY, HR)
                if status(answer) == "hit":
                    break
                await self.service.settle()
                await asyncio.sleep(0.01)


class Askers:
    """Three people who ask without a pause: what they were told when at least `acknowledged` was true."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._over = False
        self.acknowledged = 0
        self.old: list[tuple[int, str]] = []
        self.answers = dict.fromkeys(USERS, 0)

    async def __aenter__(self) -> "Askers":
        self._tasks = [asyncio.create_task(self._ask(user)) for user in USERS]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over = True
        await asyncio.gather(*self._tasks)

    async def some(self) -> None:
        """Wait until everybody has been answered a few times more."""
        wanted = {user: number + 3 for user, number in self.answers.items()}
        async with asyncio.timeout(30):
            while any(self.answers[user] < number for user, number in wanted.items()):
                await asyncio.sleep(0.001)

    async def _ask(self, user: str) -> None:
        while not self._over:
            least = self.acknowledged
            told = await self._ground.told(user)
            if int(told.removeprefix("Mumbai").strip() or 0) < least:
                self.old.append((least, told))
            self.answers[user] += 1
            await asyncio.sleep(0)


@pytest.fixture
async def ground(fresh_url: str) -> AsyncIterator[Ground]:
    """A service that waits for Redis as long as a real one does."""
    with private_valkey() as valkey:
        async with (
            proxy_to(valkey.path) as proxy,
            open_service(fresh_url, f"redis://127.0.0.1:{proxy.port}", Clock(NOW), patience_ms=TIGHT_MS) as service,
        ):
            yield Ground(service, valkey, proxy)


@pytest.fixture
async def still_ground(fresh_url: str) -> AsyncIterator[Ground]:
    """The same without a drain: nobody asks Redis for anything but requests. Everybody has been answered from it."""
    with private_valkey() as valkey:
        async with (
            proxy_to(valkey.path) as proxy,
            open_service(
                fresh_url, f"redis://127.0.0.1:{proxy.port}", Clock(NOW), patience_ms=TIGHT_MS, drains=False
            ) as service,
        ):
            for user in USERS:
                while status(await service.ask(QUERY, user)) != "hit":
                    await drain_once(service.resources.database, service.resources.cache)
                    await service.settle()
            await service.settle()
            yield Ground(service, valkey, proxy)


async def _refused(ground: Ground) -> None:
    await ground.proxy.refuse()


async def _heard_again(ground: Ground) -> None:
    await ground.proxy.heal()


async def _frozen(ground: Ground) -> None:
    ground.valkey.freeze()


async def _thawed(ground: Ground) -> None:
    ground.valkey.freeze(on=False)


async def _slow(ground: Ground) -> None:
    ground.proxy.delay(timedelta(milliseconds=50))  # each way


async def _slower(ground: Ground) -> None:
    ground.proxy.delay(timedelta(seconds=30))  # however late a busy loop finds that it has waited long enough


async def _emptied(ground: Ground) -> None:
    ground.valkey.ask("FLUSHALL")


async def _full(ground: Ground) -> None:
    ground.valkey.ask("CONFIG SET maxmemory-policy noeviction")
    ground.valkey.ask("CONFIG SET maxmemory 1")


async def _roomy(ground: Ground) -> None:
    ground.valkey.ask("CONFIG SET maxmemory 0")


async def _replica(ground: Ground) -> None:
    ground.valkey.ask("REPLICAOF 127.0.0.1 1")


async def _primary(ground: Ground) -> None:
    ground.valkey.ask("REPLICAOF NO ONE")


async def _restarted(ground: Ground) -> None:
    await asyncio.to_thread(ground.valkey.restart)


async def _nothing(_: Ground) -> None:
    pass


Step = Callable[[Ground], Awaitable[None]]
FAULTS: Final[dict[str, tuple[Step, Step]]] = {
    "refused": (_refused, _heard_again),
    "hung": (_frozen, _thawed),
    "slow": (_slow, _heard_again),
    "emptied": (_emptied, _nothing),
    "full": (_full, _roomy),
    "a read-only replica": (_replica, _primary),
    "restarted": (_restarted, _nothing),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_request_fails_and_no_answer_is_old(ground: Ground, fault: str) -> None:
    strikes, heals = FAULTS[fault]
    await ground.until_hit()
    async with Askers(ground) as askers:
        await askers.some()
        await strikes(ground)
        await askers.some()
        await ground.rename(1)
        askers.acknowledged = 1
        await askers.some()
        await heals(ground)
        async with ground.service.resources.database.transaction() as connection:
            await connection.execute(AS_IF_OVER)  # a suspension of 4 s, if there is one
        await askers.some()
        await ground.until_hit()
        await ground.rename(2)
        askers.acknowledged = 2
        await askers.some()
    assert askers.old == [] and min(askers.answers.values()) >= 15
    await ground.until_hit()
    assert await ground.told() == "Mumbai 2"


@pytest.mark.parametrize(("strikes", "heals"), [(_frozen, _thawed), (_slower, _heard_again)])
@pytest.mark.parametrize("later_s", [0, 5], ids=["while the breaker is open", "when it is time to try again"])
async def test_the_first_requests_wait_once_and_then_nobody_does(
    still_ground: Ground, strikes: Step, heals: Step, later_s: int
) -> None:
    """One command of a request waits, the look that it begins with. Only the drain and writers try again, for 5 s."""
    ground, resources = still_ground, still_ground.service.resources
    cache = resources.cache
    assert cache.server is not None and cache.server._timeout_s == 0.1
    failed_at_s = (0, 0)
    cache.server.breaker = Breaker(itertools.chain(failed_at_s, itertools.repeat(later_s)).__next__)
    await strikes(ground)
    counters.clear()
    asked = ground.proxy.asked
    with recorded() as made:
        assert await ground.told() == "Mumbai"
    assert ground.proxy.asked - asked == 1 and counters["cache_failures", "TimeoutError"] == 1
    assert [reason for _, reason, _ in made.bypasses] == ["breaker"] * 2, "the viewer and the list come after that look"
    with recorded() as later:
        assert await asyncio.gather(*(ground.told(user) for user in USERS)) == ["Mumbai"] * 3
    assert [reason for _, reason, _ in later.bypasses] == ["breaker"] * 6
    assert ground.proxy.asked - asked == 1, "something was sent to Redis"
    await heals(ground)
    cache.server.breaker = Breaker()
    assert await drain_once(resources.database, cache)


async def test_of_requests_that_come_at_once_each_waits_at_most_once(still_ground: Ground) -> None:
    ground = still_ground
    await _frozen(ground)
    counters.clear()
    asked = ground.proxy.asked
    with recorded() as made:
        assert await asyncio.gather(*(ground.told(user) for user in USERS)) == ["Mumbai"] * 3
    assert 1 <= ground.proxy.asked - asked == counters["cache_failures", "TimeoutError"] <= 3
    assert [reason for _, reason, _ in made.bypasses] == ["breaker"] * 6
    await _thawed(ground)


async def test_a_write_from_outside_is_seen_when_the_fence_has_lapsed_though_nobody_drains(
    fresh_url: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The latest that a write of psql may be seen: after 2 s, of which this test makes an hour, to take its time."""
    assert timedelta(seconds=2) == second_level.FENCE_LIFE
    monkeypatch.setattr(second_level, "FENCE_LIFE", timedelta(hours=1))
    async with open_service(fresh_url, databases.redis_url, Clock(NOW), drains=False) as service:
        cache = service.resources.cache
        assert cache.server is not None
        began_ms = (await cache.server.clock_ms()).value
        assert await drain_once(service.resources.database, cache)
        drained_ms = (await cache.server.clock_ms()).value
        lapses_ms = (await cache.server.ask("PEXPIRETIME", cache.fence_name)).value
        assert began_ms <= lapses_ms - 3_600_000 <= drained_ms, "by the clock of Redis"
        for _ in range(2):
            await service.ask(QUERY, HR)
        async with service.resources.database.transaction() as connection:
            await connection.execute(OUTSIDE, name="Mumbai 7")
        old = await service.ask(QUERY, HR)
        assert (status(old), b"Mumbai 7" in old.body) == ("hit", False)
        await cache.server.delete([cache.fence_name])  # as Redis does when it lapses
        assert b"Mumbai 7" in (await service.ask(QUERY, HR)).body


async def test_without_redis_the_database_is_asked_by_as_many_as_it_has_connections_for(fresh_url: str) -> None:
    """The others queue, and are told in time to come again; nothing breaks down."""
    lock, waiting = statement("lock", "LOCK TABLE shift IN ACCESS EXCLUSIVE MODE"), 2
    outsider = Database(fresh_url, PoolLimits(size=1))
    pool = {"DB_POOL_SIZE": waiting, "DB_POOL_WAIT_MS": "500"}
    async with open_service(fresh_url, None, Clock(NOW), pool=pool) as service:
        await service.token(HR)
        async with outsider.transaction() as connection:
            await connection.execute(lock)
            asked = [asyncio.create_task(service.ask("{ shifts { name } }", HR)) for _ in range(10)]
            refused = [await task for task in itertools.islice(asyncio.as_completed(asked), 10 - waiting)]
            assert await connection.records(BLOCKED) == [(waiting,)]
        assert [(reply.status, reply.code) for reply in refused] == [(503, "SERVICE_UNAVAILABLE")] * 8
        assert {reply.headers["retry-after"] for reply in refused} == {"2"}
        assert {reply.json["errors"][0]["message"] for reply in refused} == {"all connections to the database are busy"}
        answers = await asyncio.gather(*asked)
        assert sorted(reply.status for reply in answers) == [200] * waiting + [503] * 8
        assert (await service.ask("{ shifts { name } }", HR)).status == 200
    await outsider.close()
