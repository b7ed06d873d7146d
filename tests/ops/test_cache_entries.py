"""`rollcall cache test-core|inspect|invalidate|verify` on real servers: exit codes and what was read back."""

import asyncio
import socket
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from cache.commands import COMMANDS
from cache.second_level import SecondLevelCache
from cache.server import Server
from db import tags
from db.database import Database
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.departments import ALL, department_tree
from loaders.drain import drain_once
from loaders.employees import employee_by_id
from ops.cache_tags import check_tag
from tests.coherence.valkey import private_valkey
from tests.coherence.worker import fill
from tests.kit.databases import Databases
from tests.kit.rig import PATIENCE, _drain_until
from tests.ops.commands import answered, rollcall

CHECKS = ["commands", "server", "slots", "eviction policy", "fence", "entries", "stamps", "holds", "drain", "expiry"]

NO_DATABASE = "postgresql://u@127.0.0.1:1/x"


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
            cache = SecondLevelCache(Server(self.redis_url, PATIENCE, prefix=self.prefix), self.prefix)
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
        given = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": f"unix://{valkey.path}"}
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


@pytest.mark.parametrize(
    ("policy", "broken"),
    [("allkeys-lru", []), ("volatile-ttl", ["eviction policy"]), ("allkeys-lfu", ["eviction policy"])],
)
def test_a_full_redis_must_not_drop_what_is_new(policy: str, broken: list[str]) -> None:
    with private_valkey(maxmemory="64mb", **{"maxmemory-policy": policy}) as valkey:
        given = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": f"unix://{valkey.path}"}
        found = answered(rollcall("cache", "test-core", "--json", REDIS_TIMEOUT_MS=5000, **given))
        assert found["broken"] == broken


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        ("-info", "the user may not run INFO: "),
        ("-@all", f"the user may not run {', '.join(COMMANDS)}: "),
        ("resetkeys ~other:*", "the user may not use the keys rollcall:*: "),
    ],
)
def test_a_user_without_whose_rights_nothing_can_be_tried(rules: str, broken: str) -> None:
    with private_valkey() as valkey:
        given = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": f"unix://u:geheim@{valkey.path}"}
        valkey.ask(f"ACL SETUSER u on >geheim ~rollcall:* -@all +{' +'.join(COMMANDS).lower()} {rules}")
        result = rollcall("cache", "test-core", "--json", **given)
        [check] = answered(result)["checks"]
        assert (result.exit_code, check["check"], check["error"].startswith(broken)) == (1, "commands", True), check
        result = rollcall("cache", "inspect", "employee:1", **given)
        said = f"REDIS_URL: needed a user with the rights in docs/operate/commands.md, got unix://u:***@{valkey.path}: "
        assert (result.exit_code, result.stderr.startswith(said)) == (2, True), result.stderr
        valkey.ask("ACL SETUSER u resetpass")
        result = rollcall("cache", "test-core", **given)
        said = f"REDIS_URL: needed a Redis that lets us in, got unix://u:***@{valkey.path}: "
        assert (result.exit_code, result.stderr.startswith(said)) == (2, True), result.stderr


def test_a_user_who_may_not_list_keys_is_told_so_and_nothing_else_breaks() -> None:
    with private_valkey() as valkey:
        valkey.ask("ACL SETUSER default -scan")
        given = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": f"unix://{valkey.path}", "REDIS_TIMEOUT_MS": 5000}
        result = rollcall("cache", "test-core", "--json", **given)
        assert answered(result)["broken"] == ["commands", "expiry"]


def test_a_redis_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        result = rollcall("cache", "test-core", DATABASE_URL=NO_DATABASE, REDIS_URL=url)
    said = f"REDIS_URL: needed a Redis that answers, got {url}: no answer within 2 s; start it or correct it\n"
    assert (result.exit_code, result.output) == (3, said)


def test_without_redis_it_says_so() -> None:
    given = {"DATABASE_URL": NO_DATABASE, "REDIS_URL": "redis://:geheim@127.0.0.1:1/0"}
    result = rollcall("cache", "inspect", "employee:1", **given)
    said = "REDIS_URL: needed a Redis that answers, got redis://:***@127.0.0.1:1/0: Error 111 connecting"
    assert (result.exit_code, result.stderr.startswith(said), len(result.output.splitlines())) == (3, True, 1)
    result = rollcall("cache", "test-core", **given)
    assert (result.exit_code, result.stdout, result.stderr.startswith(said)) == (3, "", True)
    result = rollcall("cache", "verify", CACHE="off", **given)
    assert (result.exit_code, result.output) == (2, "the cache is off: set REDIS_URL, and CACHE=on\n")


def test_an_entry_is_shown_with_its_key_value_tags_and_why_it_is_not_served(corner: Corner) -> None:
    found = answered(corner.command("inspect", "employee:1", "--json"))
    assert (found["usable"], found["why"], found["loader"], found["key"]) == (True, [], "employee", 1)
    assert (found["value"]["id"], found["value"]["full_name"]) == (1, "name 1")
    assert list(found["tags"]) == ["employee.id=1", "location.any", "employee", "location"]
    assert 0 < found["life_s"] <= 3960
    assert answered(corner.command("inspect", f"{corner.prefix}:e:{found['entry']}", "--json"))["usable"]
    assert "usable" in corner.command("inspect", "employee:1").stdout
    corner.command("invalidate", "employee.id=1")
    found = answered(corner.command("inspect", "employee:1", "--json"))
    assert (found["usable"], found["why"]) == (False, ["employee.id=1 has changed since"])
    stamp = answered(corner.command("inspect", "employee.id=1", "--json"))["stamp"]
    assert stamp["nonce"] == found["tags"]["employee.id=1"]["now"] and stamp["held_by"] == []
    named = answered(corner.command("inspect", f"{corner.prefix}:s:employee.id=1", "--json"))
    assert (named["tag"], named["stamp"]["nonce"]) == ("employee.id=1", stamp["nonce"])
    assert answered(corner.command("inspect", "employee.id=999", "--json"))["stamp"] is None
    assert corner.command("inspect", "employee.id=999").stdout.startswith("employee.id=999 has no stamp: ")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("inspect", "employee:2"), 1, "KEY: nothing is stored as employee:2 now"),
        (
            ("inspect", "nothing:2"),
            1,
            "KEY: needed employee:42 for the entry of a lookup, the name of an entry in Redis,",
        ),
        (
            ("inspect", "nothing"),
            2,
            "KEY: needed a tag like employee.id=42, or a table for all of its tags, got 'nothing'",
        ),
        (("inspect", "employee.id"), 2, "KEY: needed employee, employee.id=42 or employee.any, got 'employee.id'"),
        (("invalidate", "nothing.id=1"), 2, "TAG: needed a tag like employee.id=42, or a table for all of its tags,"),
        (("invalidate", "employee.idd=1"), 2, "TAG: needed employee, employee.id=42 or employee.any, got"),
        (("invalidate", "department", "employee.id=x"), 2, "TAG: needed employee, employee.id=42 or employee.any, got"),
        (
            ("invalidate", "holiday.location_id=1"),
            2,
            "TAG: needed holiday, holiday.location_id=42&year=2026 or holiday.",
        ),
        (
            ("invalidate", "attendance_day.month=2026"),
            2,
            "TAG: needed attendance_day, attendance_day.employee_id=42&mon",
        ),
    ],
)
def test_what_is_no_entry_and_no_tag_is_refused(
    corner: Corner, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """A tag with a slip in it would be restamped, and nothing would rest on it."""
    result = corner.command(*arguments)
    assert (result.exit_code, result.stdout, len(result.stderr.splitlines())) == (code, "", 1)
    assert result.stderr.startswith(said), result.stderr


def test_every_declared_tag_is_one() -> None:
    for tag in tags.ALL_TAGS:
        check_tag("TAG", tag(*({"month": "2026-03", "work_date": "2026-03-01"}.get(part, 42) for part in tag.parts)))


def test_invalidating_says_what_rested_on_the_tags_and_reads_back(corner: Corner) -> None:
    before = answered(corner.command("inspect", "employee.id=1", "--json"))
    dry = answered(corner.command("invalidate", "employee.id=1", "department", "--dry-run", "--json"))
    assert dry == {"tags": ["employee.id=1", "department"], "dry_run": True, "entries": 2, "looked_at": 2}
    assert answered(corner.command("inspect", "employee.id=1", "--json"))["stamp"]["nonce"] == before["stamp"]["nonce"]
    result = corner.command("invalidate", "employee.id=1", "--json")
    found = answered(result)
    assert (result.exit_code, found["restamped"], found["unchanged"], found["entries"]) == (0, 1, [], 1)
    shown = corner.command("invalidate", "employee.id=1").stdout
    assert shown == "1 of 1 tag got new stamps; 1 of 2 entries rested on them\n"
    shown = corner.command("invalidate", "employee", "shift.any", "--dry-run", "--most", 1).stdout
    words = "of the first 1 entries (--most looks at more) rest on them\n"
    assert shown in (f"would give 2 tags new stamps; {number} {words}" for number in (0, 1))


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
