"""`rollcall cache test-core|inspect|invalidate|verify` on real servers: exit codes and what was read back."""

import asyncio
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from cache.second_level import SecondLevelCache
from cache.server import Server
from db.database import Database
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.departments import ALL, department_tree
from loaders.drain import drain_once
from loaders.employees import employee_by_id
from tests.coherence.valkey import private_valkey
from tests.coherence.worker import fill
from tests.kit.databases import Databases
from tests.kit.rig import PATIENCE, _drain_until
from tests.ops.commands import answered, rollcall

CHECKS = ["server", "commands", "slots", "eviction policy", "fence", "entries", "stamps", "holds", "drain", "expiry"]


class Corner:
    """A database and a corner of Redis with two entries in it; the drain ticks in a thread of its own."""

    def __init__(self, url: str, redis_url: str) -> None:
        self.url, self.redis_url, self.prefix = url, redis_url, f"test-{token_hex(6)}"
        self.given = {
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "CACHE_PREFIX": self.prefix,
            "REDIS_TIMEOUT_MS": 5000,
        }

    def run(self, work: Any) -> Any:
        """Run `work(database, cache)`."""

        async def whole() -> Any:
            database = Database(self.url)
            cache = SecondLevelCache(Server(self.redis_url, PATIENCE), self.prefix)
            try:
                return await work(database, cache)
            finally:
                await cache.close()
                await database.close()

        return asyncio.run(whole())

    def keys(self, pattern: str = "*") -> list[str]:
        """The keys of the corner."""

        async def look(_: Database, cache: SecondLevelCache) -> list[str]:
            assert cache.server is not None
            return [name.decode() for name in (await cache.server.ask("KEYS", f"{self.prefix}:{pattern}")).value]

        found: list[str] = self.run(look)
        return sorted(found)

    def command(self, *arguments: object) -> Any:
        """Run a command while a service drains."""

        async def drained(database: Database, cache: SecondLevelCache) -> Any:
            assert await drain_once(database, cache)
            stop = asyncio.Event()
            draining = asyncio.create_task(_drain_until(stop, database, cache))
            try:
                return await asyncio.to_thread(rollcall, "cache", *arguments, **self.given)
            finally:
                stop.set()
                await draining

        return self.run(drained)


@pytest.fixture
def corner(databases: Databases) -> Iterator[Corner]:
    """Entries of employee 1 and of the tree of departments."""
    url = databases.new("coherence", fill)
    found = Corner(url, databases.redis_url)

    async def store(database: Database, cache: SecondLevelCache) -> None:
        assert await drain_once(database, cache)
        loaders = Loaders(database, cache)
        await loaders.must(employee_by_id, EmployeeId(1))
        await loaders.must(department_tree, ALL)
        await cache.settle()

    found.run(store)
    yield found
    databases.drop(url)


def plant(corner: Corner) -> None:
    """Change employee 1 without anybody noticing."""

    async def write(database: Database, _: SecondLevelCache) -> None:
        async with database.transaction() as connection:
            await connection.execute(statement("w", "UPDATE employee SET full_name = 'planted' WHERE id = 1"))
            await connection.execute(statement("f", "DELETE FROM cache_outbox WHERE xid = pg_current_xact_id()"))

    corner.run(write)


def test_every_promise_is_kept_by_a_real_valkey_and_nothing_is_left(corner: Corner) -> None:
    before = corner.keys()
    result = rollcall("cache", "test-core", "--json", **corner.given)
    found = answered(result)
    assert (result.exit_code, found["kept"], found["broken"]) == (0, True, []), found
    assert [check["check"] for check in found["checks"]] == [*CHECKS, "latency"]
    assert set(corner.keys()) <= set(before)
    shown = rollcall("cache", "test-core", **corner.given)
    assert shown.exit_code == 0 and "two writers, one that died" in shown.stdout


def test_a_redis_that_breaks_promises_is_found_out() -> None:
    with private_valkey(maxmemory="64mb", **{"maxmemory-policy": "noeviction"}) as valkey:
        given = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x", "REDIS_URL": f"unix://{valkey.path}"}
        valkey.ask("ACL SETUSER default -pttl")
        result = rollcall("cache", "test-core", "--json", REDIS_TIMEOUT_MS=5000, **given)
        found = answered(result)
        assert (result.exit_code, found["kept"]) == (1, False)
        assert found["broken"] == ["commands", "eviction policy", "fence", "expiry"]
        [commands] = [check["error"] for check in found["checks"] if check["check"] == "commands"]
        assert commands.startswith("the user may not run PTTL: ")
        valkey.ask("ACL SETUSER default +pttl")
        valkey.ask("REPLICAOF 127.0.0.1 1")
        assert "server" in answered(rollcall("cache", "test-core", "--json", REDIS_TIMEOUT_MS=5000, **given))["broken"]


def test_without_redis_it_says_so() -> None:
    given = {"DATABASE_URL": "postgresql://u@127.0.0.1:1/x", "REDIS_URL": "redis://:geheim@127.0.0.1:1/0"}
    result = rollcall("cache", "inspect", "employee:1", **given)
    assert result.exit_code == 3 and "geheim" not in result.output and len(result.output.splitlines()) == 1
    result = rollcall("cache", "verify", CACHE="off", **given)
    assert (result.exit_code, result.output) == (2, "the cache is off: set REDIS_URL, and CACHE=on\n")


def test_an_entry_is_shown_with_its_key_value_tags_and_why_it_is_not_served(corner: Corner) -> None:
    found = answered(corner.command("inspect", "employee:1", "--json"))
    assert (found["usable"], found["why"], found["loader"], found["key"]) == (True, [], "employee", 1)
    assert found["value"][:2] != [] and "name 1" in found["value"]
    assert list(found["tags"]) == ["employee.id=1", "location.any", "employee", "location"]
    assert 0 < found["life_s"] <= 3960
    assert answered(corner.command("inspect", f"{corner.prefix}:e:{found['entry']}", "--json"))["usable"]
    assert "usable" in corner.command("inspect", "employee:1").stdout
    corner.command("invalidate", "employee.id=1")
    found = answered(corner.command("inspect", "employee:1", "--json"))
    assert (found["usable"], found["why"]) == (False, ["employee.id=1 has changed since"])
    stamp = answered(corner.command("inspect", "employee.id=1", "--json"))["stamp"]
    assert stamp["nonce"] == found["tags"]["employee.id=1"]["now"] and stamp["held_by"] == []
    assert answered(corner.command("inspect", "employee.id=999", "--json"))["stamp"] is None
    result = corner.command("inspect", "employee:2")
    assert (result.exit_code, result.stdout) == (1, "")


def test_invalidating_says_what_rested_on_the_tags_and_reads_back(corner: Corner) -> None:
    before = answered(corner.command("inspect", "employee.id=1", "--json"))
    dry = answered(corner.command("invalidate", "employee.id=1", "department", "--dry-run", "--json"))
    assert dry == {"tags": ["employee.id=1", "department"], "dry_run": True, "entries": 2, "looked_at": 2}
    assert answered(corner.command("inspect", "employee.id=1", "--json"))["stamp"]["nonce"] == before["stamp"]["nonce"]
    result = corner.command("invalidate", "employee.id=1", "--json")
    found = answered(result)
    assert (result.exit_code, found["restamped"], found["unchanged"], found["entries"]) == (0, 1, [], 1)
    shown = corner.command("invalidate", "employee.id=1").stdout
    assert shown == "1 of 1 tags have new stamps; of 2 entries 1 rested on them\n"
    result = corner.command("invalidate", "nothing.id=1")
    assert result.exit_code == 2 and "nothing.id=1" in result.output and "tables: app_user" in result.output


def test_verifying_everything_finds_and_removes_what_is_stale(corner: Corner, monkeypatch: pytest.MonkeyPatch) -> None:
    result = corner.command("verify", "--json")
    found = answered(result)
    assert (result.exit_code, found["verdicts"], found["stale"]) == (0, {"same": 2}, [])
    assert found["loaders"] == {"department_tree": 1, "employee": 1}
    monkeypatch.setattr(department_tree.policy, "prefix", "department_tree@another:")
    found = answered(corner.command("verify", "--json"))
    assert found["verdicts"] == {"of another version": 1, "same": 1}
    monkeypatch.undo()
    plant(corner)
    stale = employee_by_id.policy.entry_name(EmployeeId(1))
    result = corner.command("verify", "--dry-run", "--json")
    assert (result.exit_code, answered(result)["stale"]) == (1, [stale])
    result = corner.command("verify", "--json")
    assert (result.exit_code, answered(result)["stale"]) == (1, [stale])
    assert "the cache served something stale" in result.stderr
    again = corner.command("verify")
    assert (again.exit_code, again.stdout.splitlines()[-1]) == (0, "1 same")
    assert answered(corner.command("verify", "--most", 1, "--json"))["entries"] == 1
