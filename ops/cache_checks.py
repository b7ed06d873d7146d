"""`rollcall cache test-core`: does the configured Redis keep every promise that the cache is built on?

It works under names of its own beside those of the installation, and removes them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from secrets import token_hex
from typing import Any, Final

import msgspec
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ClusterCrossSlotError, NoPermissionError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from cache.commands import COMMANDS, EVICTION_POLICIES
from cache.fence import Fence
from cache.policy import Policy
from cache.reading import Reading
from cache.second_level import FENCE_LIFE, SecondLevelCache
from cache.server import CacheUnreachable, Server

KEY: Final = 1
TAG: Final = "test.id=1"
EVERYTHING: Final = "test"
OLDEST: Final = (7, 0)
"""PEXPIRETIME came with Redis 7.0; Valkey says of itself 7.2."""
SHORT: Final = timedelta(milliseconds=60)
LONGEST_SILENCE_S: Final = 2
HOW_TO_LET: Final = "docs/operate/commands.md says what it needs"


class Broken(Exception):
    """A promise is not kept; the message says which."""


class NothingElse(Broken):
    """One without which no other can be tried."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of a check; `error` is empty when all is well."""

    check: str
    ms: float
    note: str = ""
    error: str = ""
    is_last: bool = False


class Core:
    """Two clients of one Redis, and a lookup that exists nowhere else."""

    def __init__(self, open_server: Callable[[], Server], prefix: str) -> None:
        self.prefix_of_all = prefix
        self.prefix = f"{prefix}:test-{token_hex(4)}"
        self.servers = open_server(), open_server()
        self.ours, self.other = (SecondLevelCache(server, self.prefix) for server in self.servers)
        self.policy: Policy[int, int] = Policy("test", int, "employee", lambda key: (f"test.id={key}",))
        self.policy.follow(code="test", declaration="test")
        self.epoch = 1

    @property
    def server(self) -> Server:
        """The server as the first client sees it."""
        return self.servers[0]

    async def renew(self, life: timedelta = FENCE_LIFE, touched: Sequence[tuple[str, str]] = ()) -> None:
        """Renew the fence as the drain does, so that it lives for `life`."""
        run_id, now_ms = await self.server.clock_ms()
        from_ms = now_ms - round((FENCE_LIFE - life) / timedelta(milliseconds=1))
        await self.ours.renew(Fence(run_id, self.epoch, "test", from_ms), token_hex(4), touched)

    async def read(self, cache: SecondLevelCache | None = None) -> Reading[int, int]:
        """Look the key up."""
        return await (cache or self.ours).read(self.policy, [KEY])

    async def fill(self, value: int, reading: Reading[int, int] | None = None) -> None:
        """Store a value with a ticket from now, or from `reading`."""
        reading = reading or await self.read()
        self.ours.fill_later(self.policy, reading, {KEY: value})
        await self.ours.settle()

    async def close(self) -> None:
        """Remove everything, and close the connections; what may not be listed or deleted ends by itself."""
        try:
            with suppress(CacheUnreachable):
                while names := await self.names():
                    await self.server.delete(names)
        finally:
            await self.ours.close()
            await self.other.close()

    async def names(self) -> list[str]:
        """Every key of ours."""
        cursor, found = b"0", []
        while True:
            cursor, names = (await self.server.ask("SCAN", cursor, "MATCH", f"{self.prefix}:*", "COUNT", 1000)).value
            found += [name.decode() for name in names]
            if cursor == b"0":
                return found


def _needs(promise: str, kept: bool) -> None:
    if not kept:
        raise Broken(promise)


async def _version(core: Core) -> str:
    server = await _info(core, "server")
    shown = server.get("valkey_version") or server.get("redis_version", "0")
    found = tuple(int(part) for part in server.get("redis_version", "0").split(".")[:2])
    _needs(f"needed Redis 7.0 or Valkey 7.2 at least, got {shown}", found >= OLDEST)
    role = (await _info(core, "replication")).get("role", "")
    _needs(f"needed a primary, got a server whose role is {role}", role == "master")
    return f"{'Valkey' if 'valkey_version' in server else 'Redis'} {shown}"


async def _commands(core: Core) -> str:
    """Over a connection of its own, which needs none of them."""
    connection = core.server.bare_connection()
    try:
        async with asyncio.timeout(LONGEST_SILENCE_S):
            await connection.connect()  # type: ignore[no-untyped-call]
            refused = [name for name in COMMANDS if await _refuses(connection, name, core)]
    except TimeoutError:
        raise RedisTimeout(f"no answer within {LONGEST_SILENCE_S} s") from None
    finally:
        await connection.disconnect(nowait=True)
    if refused:
        broken = NothingElse if "INFO" in refused else Broken
        raise broken(f"the user may not run {', '.join(refused)}: {HOW_TO_LET}")
    return f"{len(COMMANDS)} commands"


async def _refuses(connection: AbstractConnection, command: str, core: Core) -> bool:
    key = f"{core.prefix}:e:acl"
    await connection.send_command(command, *(key if part == "KEY" else part for part in COMMANDS[command]))
    try:
        await connection.read_response()
    except NoPermissionError as error:
        if command not in str(error).upper():
            raise NothingElse(f"the user may not use the keys {core.prefix_of_all}:*: {HOW_TO_LET}") from None
        return True
    except ResponseError:
        pass  # it may be run, and that is all that was asked
    return False


async def _slots(core: Core) -> str:
    server = await _info(core, "cluster")
    try:
        await core.server.mget([core.ours.fence_name, core.ours.stamp_prefix + TAG, f"{core.ours.entry_prefix}x"])
    except CacheUnreachable as error:
        if not isinstance(error.__cause__, ClusterCrossSlotError):
            raise
        raise Broken(
            f"keys of one lookup are not in one slot: write REDIS_URL as that of a Cluster ({error})"
        ) from None
    return "a Cluster, all keys in one slot" if server.get("cluster_enabled") == "1" else "not a Cluster"


async def _eviction(core: Core) -> str:
    memory = await _info(core, "memory")
    most, policy = int(memory.get("maxmemory", "0")), memory.get("maxmemory_policy", "")
    full = f"maxmemory {most} with maxmemory-policy {policy}: a full Redis would"
    _needs(
        f"{full} refuse every write, and each of ours would wait for the cache to go off; use allkeys-lru",
        not most or policy != "noeviction",
    )
    _needs(f"{full} drop what writers have just held; use allkeys-lru", not most or policy in EVICTION_POLICIES)
    return f"maxmemory {most}, {policy}" if most else "no maxmemory"


async def _fence(core: Core) -> str:
    _needs("without a fence something was given a ticket", (await core.read()).ticket is None)
    await core.renew()
    _needs("with a fence nothing was given a ticket", (await core.read()).ticket is not None)
    life_ms = (await core.server.ask("PTTL", core.ours.fence_name)).value
    _needs(f"needed a fence of 2 s at most, got {life_ms} ms", 0 < life_ms <= FENCE_LIFE / timedelta(milliseconds=1))
    await core.server.delete([core.ours.fence_name])
    await core.renew(life=SHORT)
    await asyncio.sleep(2 * SHORT.total_seconds())
    _needs("a fence outlived its lease", (await core.read()).ticket is None)
    return "2 s"


async def _entries(core: Core) -> str:
    await core.renew()
    await core.fill(7)
    for name, cache in (("the same", core.ours), ("another", core.other)):
        _needs(f"{name} client did not find what was stored", (await core.read(cache)).hits == {KEY: 7})
    core.epoch = 2
    await core.server.delete([core.ours.fence_name])
    await core.renew()
    _needs("something of an older epoch was served", not (await core.read()).hits)
    return "stored, found, of this epoch only"


async def _stamps(core: Core) -> str:
    await core.renew()
    late = await core.read()
    await core.fill(1)
    for tag in (TAG, EVERYTHING):
        await core.fill(1)
        _needs("what was stored is not there", (await core.read()).hits == {KEY: 1})
        await core.other.restamp([tag])
        _needs(f"something was served although {tag} had changed", not (await core.read()).hits)
    await core.fill(2, late)
    _needs("what was read before a change was served after it", not (await core.read()).hits)
    await core.fill(3)
    await core.server.delete([core.ours.stamp_prefix + TAG])
    _needs("a lost stamp was taken for a version", not (await core.read()).hits)
    return "changed, late, lost"


async def _holds(core: Core) -> str:
    await core.renew()
    await core.fill(1)
    home = await core.other.home()
    _needs("a hold was refused", await core.other.hold("1", [TAG], home) and await core.other.hold("2", [TAG], home))
    _needs("something held was served", not (await core.read()).hits)
    await core.fill(2)
    await core.other.release("1", [TAG])
    _needs("something was served while a second writer held it", not (await core.read()).hits)
    await core.other.release("2", [TAG])
    _needs("something that was stored during a hold was served after it", not (await core.read()).hits)
    await core.fill(3)
    _needs("nothing could be stored after a hold", (await core.read()).hits == {KEY: 3})
    name, short_ms = core.ours.stamp_prefix + TAG, round(SHORT / timedelta(milliseconds=1))
    await core.server.run("hold", [name], ["3", short_ms])
    await asyncio.sleep(2 * SHORT.total_seconds())
    _needs("the end of a hold was not taken for a change", not (await core.read()).hits)
    return "two writers, one that died"


async def _drained(core: Core) -> str:
    await core.renew()
    await core.fill(1)
    await core.renew(touched=[(TAG, "9")])
    _needs("something was served although its change was drained", not (await core.read()).hits)
    return "restamped with the fence"


async def _expiry(core: Core) -> str:
    await core.renew()
    await core.fill(1)
    names = await core.names()
    eternal = [name for name in names if (await core.server.ask("PTTL", name)).value < 0]
    _needs(f"keys without an end: {', '.join(eternal[:5])}", bool(names) and not eternal)
    return f"{len(names)} keys, each with an end"


async def _latency(core: Core) -> str:
    started_s = time.perf_counter()
    for _ in range(20):
        await core.server.mget([core.ours.fence_name])
    return f"{(time.perf_counter() - started_s) / 20 * 1e3:.2f} ms for one read"


CHECKS: Final[dict[str, Callable[[Core], Awaitable[str]]]] = {
    "commands": _commands,
    "server": _version,
    "slots": _slots,
    "eviction policy": _eviction,
    "fence": _fence,
    "entries": _entries,
    "stamps": _stamps,
    "holds": _holds,
    "drain": _drained,
    "expiry": _expiry,
    "latency": _latency,
}


async def checked(open_server: Callable[[], Server], prefix: str) -> list[Outcome]:
    """Run every check, and remove what they stored; raises CacheUnreachable when Redis does not answer at all."""
    core = Core(open_server, prefix)
    outcomes: list[Outcome] = []
    try:
        for name, check in CHECKS.items():
            outcomes.append(await _outcome(name, check(core)))
            if outcomes[-1].is_last:
                break
    except (RedisError, OSError, TimeoutError) as error:
        raise CacheUnreachable(str(error)) from error
    finally:
        await core.close()
    return outcomes


async def _outcome(name: str, check: Awaitable[str]) -> Outcome:
    started_s = time.perf_counter()
    note, error, is_last = "", "", False
    try:
        note = await check
    except Broken as broken:
        error, is_last = str(broken), isinstance(broken, NothingElse)
    except CacheUnreachable as unreachable:
        error = f"Redis does not answer, or refuses: {unreachable}"
    return Outcome(name, round((time.perf_counter() - started_s) * 1e3, 1), note, error, is_last)


async def _info(core: Core, section: str) -> dict[str, str]:
    text: Any = (await core.server.ask("INFO", section)).value
    lines = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
    return {name: value.strip() for name, value in lines}
