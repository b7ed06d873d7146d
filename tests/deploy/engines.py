"""PostgreSQL with a streaming replica, Valkey with a replica and Sentinels: the programs of the wheels, on loopback."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from db.embedded.binaries import postgres_bindir, valkey_server
from db.embedded.keeper import BOOTSTRAP
from db.embedded.privileges import before_exec
from tests.cluster.conftest import free_port

LIMIT_S = 60.0
REPLICA = "rollcall_replica"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "fsync": "off",  # nothing here kills the machine; whatever is committed is with the kernel
    "wal_retrieve_retry_interval": "250ms",  # a commit waits for the replica, and 5 s for it to look again are long
}


@dataclass
class Program:
    """A server process that can be ended in any way and started again."""

    command: list[str]
    port: int
    log: Path
    unprivileged: bool = False
    process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    def start(self) -> None:
        with self.log.open("ab") as out:
            prepare = before_exec(signal.SIGKILL, unprivileged=self.unprivileged)
            self.process = subprocess.Popen(
                self.command, cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=prepare
            )

    async def end(self, number: signal.Signals) -> None:
        """Send a signal and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            await asyncio.to_thread(self.process.wait, LIMIT_S)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Poll a fact about servers; one that cannot be asked yet is not there yet."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                if await condition():
                    return
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, RedisError):
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(what)


class PostgreSQL:
    """A primary whose commits wait for its streaming replica, so that a promotion loses nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._bin = folder, postgres_bindir()
        self.primary, self.replica = self._server("primary"), self._server("replica")
        self.url = (
            f"postgresql://app@/rollcall?host=127.0.0.1:{self.primary.port}&host=127.0.0.1:{self.replica.port}"
            "&target_session_attrs=read-write"
        )
        self.replica_url = f"postgresql://app@127.0.0.1:{self.replica.port}/rollcall"

    def _server(self, name: str) -> Program:
        port = free_port()
        settings = SETTINGS | {"port": str(port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self._folder / name), *options]
        return Program(command, port, self._folder / f"{name}.log", unprivileged=True)

    async def start(self, *, synchronous: bool = True) -> None:
        """Make the primary, copy it, and let commits wait for the copy unless told otherwise."""
        await self._run("initdb", "-D", self._folder / "primary", "-U", "postgres", "--auth=trust", "--locale=C", "-N")
        await self.start_primary()
        await self._run("psql", "-qX", "-v", "ON_ERROR_STOP=1", *self._at, "-d", "postgres", text=BOOTSTRAP)
        origin = f"host=127.0.0.1 port={self.primary.port} user=postgres application_name={REPLICA}"
        await self._run("pg_basebackup", "-D", self._folder / "replica", "-R", "-c", "fast", "-N", "-d", origin)
        self.replica.start()
        if not synchronous:
            return
        await self.ask(self.primary.port, f"ALTER SYSTEM SET synchronous_standby_names = '{REPLICA}'")
        await self.ask(self.primary.port, "SELECT pg_reload_conf()")
        await until(self.is_synchronous, "the replica follows the primary")

    async def start_primary(self) -> None:
        self.primary.start()
        await until(lambda: self._is(self.primary.port, "SELECT NOT pg_is_in_recovery()"), "the primary answers")

    async def promote(self) -> None:
        """Make the replica a primary, which waits for nobody."""
        await self.ask(self.replica.port, "ALTER SYSTEM SET synchronous_standby_names = ''")
        await self.ask(self.replica.port, "SELECT pg_reload_conf()")
        await self.ask(self.replica.port, "SELECT pg_promote()")

    async def is_synchronous(self) -> bool:
        return await self._is(self.primary.port, "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state='sync'")

    async def ask(self, port: int, sql: str, *arguments: object, database: str = "postgres") -> list[asyncpg.Record]:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", database=database)
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def stop(self) -> None:
        for server in (self.replica, self.primary):
            await server.end(signal.SIGINT)

    async def _is(self, port: int, sql: str) -> bool:
        return bool((await self.ask(port, sql))[0][0])

    @property
    def _at(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.primary.port), "-U", "postgres")

    async def _run(self, name: str, *arguments: str | Path, text: str = "") -> None:
        command = [str(self._bin / name), *map(str, arguments)]
        with (self._folder / "tools.log").open("ab") as out:
            await asyncio.to_thread(
                subprocess.run,
                command,
                input=text.encode(),
                stdout=out,
                stderr=out,
                cwd="/",
                check=True,
                preexec_fn=before_exec(),
            )


class Valkey:
    """Two servers, the second a replica, and three Sentinels that watch over them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = [free_port() for _ in range(2)]
        self.servers = [self._server(port, "") for port in self.ports]
        self.servers[1].command += ["--replicaof", f"127.0.0.1 {self.ports[0]}"]
        self.sentinels: list[Program] = []

    def _server(self, port: int, name: str) -> Program:
        folder = self._folder / f"valkey-{port}"
        folder.mkdir()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(folder)]
        quick = ["--repl-diskless-sync-delay", "0", "--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru"]
        return Program([str(valkey_server()), *options, *quick], port, folder / "log")

    async def start(self) -> None:
        for server in self.servers:
            server.start()
        await until(lambda: self.says(1, master_link_status="up"), "the replica of Valkey follows")
        text = Path(__file__).parents[2].joinpath("deploy", "valkey", "sentinel.conf").read_text()
        for number in range(3):
            port, path = free_port(), self._folder / f"sentinel-{number}.conf"
            own = text.replace("port 26379", f"port {port}\nbind 127.0.0.1\ndir {self._folder}")
            own = own.replace("127.0.0.1 6380", f"127.0.0.1 {self.ports[0]}")
            path.write_text(own)
            command = [str(valkey_server()), str(path), "--sentinel"]
            self.sentinels.append(Program(command, port, self._folder / f"sentinel-{number}.log"))
            self.sentinels[-1].start()
        for sentinel in self.sentinels:
            await until(lambda at=sentinel: self._knows_all(at), "the Sentinels know each other and the replica")  # type: ignore[misc]

    async def _knows_all(self, sentinel: Program) -> bool:
        facts = await talk(sentinel.port, "SENTINEL MASTER", "rollcall")
        return (facts["num-other-sentinels"], facts["num-slaves"]) == (2, 1)

    async def says(self, number: int, **wanted: str) -> bool:
        """Whether a server is in a state, as it sees it."""
        facts = await talk(self.ports[number], "INFO", "replication")
        return {name: facts.get(name) for name in wanted} == wanted

    async def settled(self) -> bool:
        """Whether one server is the primary and the other follows it."""
        roles = [(await talk(port, "INFO", "replication"))["role"] for port in self.ports]
        follower = roles.index("slave") if sorted(roles) == ["master", "slave"] else None
        return follower is not None and await self.says(follower, master_link_status="up")

    async def stop(self) -> None:
        for program in (*self.sentinels, *self.servers):
            await program.end(signal.SIGKILL)


async def talk(port: int, *command: str) -> Any:
    """What a Valkey or a Sentinel answers."""
    async with Redis(port=port, decode_responses=True, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
        return await client.execute_command(*command)
