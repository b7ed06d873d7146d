"""Valkeys that stand in for each other: a primary with its replica and three Sentinels, and a Cluster of three."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable, Server
from db.database import Database, PoolLimits
from db.embedded.binaries import valkey_server
from domain.errors import Unavailable
from tests.cluster.conftest import free_port
from tests.coherence.worker import PATIENT, Worker
from tests.deploy.engines import Program, talk, until
from tests.kit.proxy import Proxy

QUIET = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
MOST_SENT = 100
SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel monitor main 127.0.0.1 {primary} 2
sentinel down-after-milliseconds main 1500
sentinel failover-timeout main 3000
"""
"""One that failed is tried again after twice that."""


@asynccontextmanager
async def open_plain_worker(database_url: str, redis_url: str, prefix: str = "test") -> AsyncIterator[Worker]:
    """A worker without proxies, at any address of Redis."""
    database = Database(database_url, PoolLimits(size=4))
    server = Server(redis_url, PATIENT, prefix=prefix)
    cache = SecondLevelCache(server, server.prefix)
    try:
        yield Worker(database, cache, Proxy(""), Proxy(""))
    finally:
        await cache.close()
        await database.close()


class Programs:
    """Server programs below one folder, all killed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: list[Program] = []

    def start(self, port: int, *options: str) -> Program:
        """Start a Valkey in a folder of its own."""
        folder = self._folder / str(port)
        folder.mkdir()
        command = [str(valkey_server()), "--port", str(port), "--dir", str(folder), *QUIET, *options]
        return self._run(Program(command, port, folder / "log"))

    def start_sentinel(self, primary: int) -> Program:
        """Start a Sentinel that watches the server at a port."""
        port = free_port()
        path = self._folder / f"sentinel-{port}.conf"
        path.write_text(SENTINEL.format(port=port, folder=self._folder, primary=primary))
        return self._run(Program([str(valkey_server()), str(path), "--sentinel"], port, self._folder / f"{port}.log"))

    async def end(self) -> None:
        """Kill everything."""
        for program in self.started:
            if program.process is not None and program.process.poll() is None:
                program.process.send_signal(signal.SIGCONT)
            await program.end(signal.SIGKILL)

    def _run(self, program: Program) -> Program:
        program.start()
        self.started.append(program)
        return program


class Watched:
    """A primary and a replica under three Sentinels."""

    def __init__(self, primary: Program, replica: Program, sentinels: Sequence[Program]) -> None:
        self.primary = primary
        self.replica = replica
        self.sentinels = sentinels
        self._had: dict[str, str | None] = {}
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        self.url = f"redis+sentinel://{hosts}/main"

    async def cut_off_replica(self) -> None:
        """From now on the replica gets nothing: it is frozen, and its connection is closed behind its back."""
        assert self.replica.process is not None
        self.replica.process.send_signal(signal.SIGSTOP)
        await talk(self.primary.port, "CLIENT", "KILL", "TYPE", "REPLICA")
        self._had = await stamps(self.primary.port)

    async def invalidated(self) -> int:
        """How many stamps are other ones than when the replica was cut off."""
        return _changed(self._had, await stamps(self.primary.port))

    async def fail_over(self) -> int:
        """Kill the primary, let the replica go on, and wait until it is the primary; how many stamps are old again."""
        had = await stamps(self.primary.port)
        await self.primary.end(signal.SIGKILL)
        assert self.replica.process is not None
        self.replica.process.send_signal(signal.SIGCONT)
        lost = _changed(await stamps(self.replica.port), had)

        async def promoted() -> bool:
            return (await talk(self.replica.port, "INFO", "replication"))["role"] == "master"

        await until(promoted, "the Sentinels promote the replica")
        self.primary, self.replica = self.replica, self.primary
        return lost

    async def take_back(self) -> None:
        """Let the one that was killed follow the one that serves, and wait until every Sentinel counts on it."""
        command = self.replica.command
        plain = command[: command.index("--replicaof")] if "--replicaof" in command else command
        self.replica.command = [*plain, "--replicaof", f"127.0.0.1 {self.primary.port}"]
        self.replica.start()
        await until(lambda: follows(self.replica.port), "the replica follows")
        for sentinel in self.sentinels:
            await until(
                lambda port=sentinel.port: _counts_on(port, self.replica.port), "the Sentinels know the replica"
            )  # type: ignore[misc]


@asynccontextmanager
async def watched_valkeys(folder: Path) -> AsyncIterator[Watched]:
    """Bring them up, each knowing the others."""
    programs = Programs(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(programs.end)
        primary = programs.start(free_port())
        replica = programs.start(free_port(), "--replicaof", f"127.0.0.1 {primary.port}")
        await until(lambda: follows(replica.port), "the replica follows")
        sentinels = [programs.start_sentinel(primary.port) for _ in range(3)]
        for sentinel in sentinels:

            async def knows(port: int = sentinel.port) -> bool:
                facts = await talk(port, "SENTINEL MASTER", "main")
                return (facts["num-other-sentinels"], facts["num-slaves"]) == (2, 1)

            await until(knows, "the Sentinels know each other")
        yield Watched(primary, replica, sentinels)


class ClusterOfThree:
    """Three primaries that share the slots evenly."""

    def __init__(self, nodes: Sequence[Program]) -> None:
        self.nodes = nodes
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)

    async def owner(self, key: str) -> Program:
        """The node that has a key's slot, as the first node sees it."""
        slot = key_slot(key.encode())
        for first, last, (_, port, *_), *_ in await command(self.nodes[0].port, "CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise AssertionError(f"nobody has slot {slot}")

    async def move(self, key: str, between: Callable[[], Awaitable[None]], first: Sequence[str] = ()) -> int:
        """Reshard by hand: give the slot of `key` to another node; `between` runs when half of its keys have gone.

        Or those that are named. How many those were.
        """
        source = await self.owner(key)
        target = next(node for node in self.nodes if node is not source)
        slot = str(key_slot(key.encode()))
        ids = {node.port: (await command(node.port, "CLUSTER", "MYID")).decode() for node in self.nodes}
        await command(target.port, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
        await command(source.port, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
        half = await command(source.port, "CLUSTER", "COUNTKEYSINSLOT", slot) // 2
        sent = await self._send(source, target, list(first) or await _keys(source, slot, half))
        await between()
        while await self._send(source, target, await _keys(source, slot, MOST_SENT)):
            pass
        for node in (target, source, *self.nodes):
            await command(node.port, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])
        return sent

    async def _send(self, source: Program, target: Program, keys: Sequence[str]) -> int:
        if keys:
            where = ("127.0.0.1", str(target.port), "", "0", "5000", "KEYS")
            await command(source.port, "MIGRATE", *where, *keys)
        return len(keys)


@asynccontextmanager
async def cluster_of_three(folder: Path) -> AsyncIterator[ClusterOfThree]:
    """Bring it up, with all slots given out and every node knowing."""
    programs = Programs(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(programs.end)
        nodes = []
        for _ in range(3):
            port, bus = free_port(), free_port()
            own = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "5000")
            nodes.append((programs.start(port, *own), bus))
        for number, (node, _) in enumerate(nodes):
            await until(lambda port=node.port: _answers(port), "the nodes answer")  # type: ignore[misc]
            first, last = number * 16384 // 3, (number + 1) * 16384 // 3 - 1
            await command(node.port, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            await command(node.port, "CLUSTER", "ADDSLOTSRANGE", str(first), str(last))
        for node, bus in nodes[1:]:
            await command(nodes[0][0].port, "CLUSTER", "MEET", "127.0.0.1", str(node.port), str(bus))
        for node, _ in nodes:
            await until(lambda port=node.port: _whole(port), "the Cluster is whole")  # type: ignore[misc]
        yield ClusterOfThree([node for node, _ in nodes])


async def _keys(node: Program, slot: str, most: int) -> list[str]:
    return [key.decode() for key in await command(node.port, "CLUSTER", "GETKEYSINSLOT", slot, str(most))]


async def stamps(port: int) -> dict[str, str | None]:
    """All stamps that a node has."""
    async with Redis(port=port, decode_responses=True, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
        names = [name async for name in client.scan_iter("*:s:*", 1_000)]
        return dict(zip(names, await client.mget(names), strict=True)) if names else {}


def _changed(before: Mapping[str, str | None], now: Mapping[str, str | None]) -> int:
    return sum(now.get(name) not in (None, stamp) for name, stamp in before.items())


async def follows(port: int) -> bool:
    """Whether a node is a replica that has all that its primary had when it came."""
    return bool((await talk(port, "INFO", "replication")).get("master_link_status") == "up")


async def _counts_on(sentinel: int, replica: int) -> bool:
    """Whether a Sentinel would promote the replica now."""
    known = await talk(sentinel, "SENTINEL REPLICAS", "main")
    return any(int(found["port"]) == replica and found["flags"] == "slave" for found in known)


async def command(port: int, *words: str) -> Any:
    """What a node answers, as it came."""
    async with Redis(port=port, socket_timeout=10, retry=Retry(NoBackoff(), 0)) as client:
        connection = await client.connection_pool.get_connection()
        try:
            await connection.send_command(*words)
            return await connection.read_response()
        finally:
            await client.connection_pool.release(connection)


async def _answers(port: int) -> bool:
    return bool(await command(port, "PING"))


async def _whole(port: int) -> bool:
    info = (await command(port, "CLUSTER", "INFO")).decode()
    return "cluster_state:ok" in info and "cluster_known_nodes:3" in info


async def cached_again(worker: Worker, name: str, patience_s: float = 30) -> None:
    """Drain until reads come from the cache again; none of them may say anything but `name`."""
    async with asyncio.timeout(patience_s):
        while True:
            await drained(worker)
            assert await worker.name() == name
            if await worker.from_cache():
                return
            await asyncio.sleep(0.02)


async def drained(worker: Worker) -> bool:
    """One tick of the drain, as the service's own loop runs it: faults of Redis are waited out."""
    try:
        return await worker.drain()
    except (CacheUnreachable, Unavailable):
        return False
