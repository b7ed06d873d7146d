"""What the fault run stands on: PostgreSQL, two Valkeys, and two nodes of real workers, each behind its own proxies."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import asyncpg
import psutil

from db.embedded.binaries import postgres_bindir
from db.embedded.keeper import BOOTSTRAP
from db.embedded.privileges import before_exec
from tests.cluster.conftest import ROOT, free_port
from tests.coherence.many_valkeys import ClusterOfThree, Watched, cluster_of_three, watched_valkeys
from tests.coherence.through_http.worker_proxy import WorkerProxy
from tests.coherence.valkey import Valkey
from tests.coherence.weakened import EVERYTHING
from tests.deploy.engines import Program, until

WORKERS = 2
TAKEN_OUT = Path(__file__).parent / "taken_out"
LIMIT_S = 90.0
POSTGRES = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "fsync": "off",  # only processes are killed here, and what they have written is with the kernel
    "full_page_writes": "off",
}
MEMORY: Final = {"maxmemory": "128mb", "maxmemory-policy": "volatile-lru"}
Valkeys = list[Valkey] | Watched | ClusterOfThree


class PostgreSQL:
    """One server that can be restarted in good order or by a crash."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._bin, self.port = folder, postgres_bindir(), free_port()
        options = [
            part for key, value in (POSTGRES | {"port": str(self.port)}).items() for part in ("-c", f"{key}={value}")
        ]
        command = [str(self._bin / "postgres"), "-D", str(folder / "pg"), *options]
        self._server = Program(command, self.port, folder / "postgres.log", unprivileged=True)

    @property
    def url(self) -> str:
        """As the service is told it."""
        return self.url_at(self.port)

    @staticmethod
    def url_at(port: int) -> str:
        """The same through a proxy."""
        return f"postgresql://app@127.0.0.1:{port}/rollcall"

    async def start(self) -> None:
        """Make it and start it."""
        await self._run("initdb", "-D", self._folder / "pg", "-U", "postgres", "--auth=trust", "--locale=C", "-N")
        await self._begin()
        at = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres")
        await self._run("psql", "-qX", "-v", "ON_ERROR_STOP=1", *at, text=BOOTSTRAP)

    async def restart(self, how: signal.Signals) -> None:
        """SIGINT ends sessions in good order, SIGQUIT is a crash with recovery."""
        await self._server.end(how)
        await self._begin()

    async def connect(self, user: str = "app") -> "asyncpg.Connection[asyncpg.Record]":
        """A session of psql, so to speak."""
        return await asyncpg.connect(host="127.0.0.1", port=self.port, user=user, database="rollcall", timeout=5)

    async def run_as_owner(self, sql: str) -> None:
        """Statements that are no business of the service."""
        connection = await self.connect("postgres")
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def stop(self) -> None:
        """End it."""
        await self._server.end(signal.SIGQUIT)

    async def _begin(self) -> None:
        self._server.start()

        async def answers() -> bool:
            connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user="postgres", database="postgres")
            await connection.close()
            return True

        await until(answers, "PostgreSQL answers")

    async def _run(self, name: str, *arguments: str | Path, text: str = "") -> None:
        with (self._folder / "tools.log").open("ab") as out:
            await asyncio.to_thread(
                subprocess.run,
                [str(self._bin / name), *map(str, arguments)],
                input=text.encode(),
                stdout=out,
                stderr=out,
                cwd="/",
                check=True,
                preexec_fn=before_exec(),
            )


class Node:
    """A supervisor with its workers, and proxies between them and both servers."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str], removed: str) -> None:
        self.name, self.port = name, free_port()
        self._folder, self._variables = folder, variables
        self.removed, self.root = removed, ROOT
        """What it lacks when it starts next, and the checkout that it starts from."""
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.said: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.redis_url = ""
        """Of Sentinels or a Cluster; then there is no proxy before Redis."""
        self.redis: WorkerProxy
        self.postgres: WorkerProxy

    async def start(self) -> None:
        """Start it and wait until every worker serves."""
        variables = self._variables | {
            "PORT": str(self.port),
            "STATUS_PORT": "0",
            "DATA_DIR": str(self._folder / self.name),
            "DATABASE_URL": PostgreSQL.url_at(self.postgres.port),
            "REDIS_URL": self.redis_url or f"redis://127.0.0.1:{self.redis.port}/0",
        }
        if self.removed:
            variables |= {"WITHOUT": self.removed, "PYTHONPATH": f"{TAKEN_OUT}{os.pathsep}{ROOT}"}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "server.py"),
            cwd=self.root,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **variables},
        )
        self._reading = asyncio.create_task(self._read(self._process))
        already = self.said["ready"]
        await self._until(lambda: self.said["ready"] >= already + WORKERS, "every worker serves")

    async def kill(self) -> None:
        """Lose it as one loses a machine: every process at once."""
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def stop(self) -> None:
        """Stop it in good order, and kill what does not."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 15)
        await self.kill()

    def workers(self) -> list[psutil.Process]:
        """The living worker processes."""
        found: list[psutil.Process] = []
        if self._process is None:
            return found
        with suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children():
                with suppress(psutil.Error):
                    named = " ".join(process.cmdline())
                    if "status" not in named and process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
        return found

    async def replaced(self, already: int) -> None:
        """Wait until a worker has taken the place of one that was killed when `already` had been ready."""
        await self._until(lambda: self.said["ready"] > already, "another worker takes the place of the killed one")

    async def _until(self, condition: object, what: str) -> None:
        assert callable(condition)
        async with asyncio.timeout(LIMIT_S):
            while not condition():
                if self._process is not None and self._process.returncode is not None:
                    raise AssertionError(f"{self.name} ended: {self.complaints[-5:]}")
                await asyncio.sleep(0.02)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip()
            if " is ready" in line and "worker" in line:
                self.said["ready"] += 1
            elif '"level":"error"' in line or '"level": "error"' in line or "Traceback" in line:
                self.said["complaints"] += 1
                if len(self.complaints) < 50:
                    self.complaints.append(line[:2000])


class Stand:
    """Everything that runs."""

    def __init__(self, folder: Path, postgres: PostgreSQL, valkeys: Valkeys, nodes: list[Node]) -> None:
        self.folder, self.postgres, self.nodes = folder, postgres, nodes
        self.valkeys = valkeys if isinstance(valkeys, list) else []
        """A pair behind proxies, unless the workers find Redis on their own."""
        self.watched = valkeys if isinstance(valkeys, Watched) else None
        self.cluster = valkeys if isinstance(valkeys, ClusterOfThree) else None
        self.primary = 0
        """Which of the pair the nodes are sent to."""

    @property
    def valkey(self) -> Valkey:
        """The one that serves."""
        return self.valkeys[self.primary]


@asynccontextmanager
async def stand(
    prepare: object, variables: dict[str, str], removed: str = "", redis: str = "pair", root: Path = ROOT
) -> AsyncIterator[Stand]:
    """Bring everything up; `prepare(postgres, folder)` fills the database before the nodes start."""
    assert callable(prepare)
    folder = Path(mkdtemp(prefix="rc-torture-"))
    folder.chmod(0o755)
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = PostgreSQL(folder)
        stack.push_async_callback(postgres.stop)
        await postgres.start()
        valkeys = await stack.enter_async_context(REDIS[redis](folder))
        variables = variables | await prepare(postgres, folder)
        if removed and (sql := EVERYTHING[removed].sql):
            await postgres.run_as_owner(sql)
        nodes = [Node(name, folder, variables, removed) for name in ("node-1", "node-2")]
        for node in nodes:
            node.root = root
            if isinstance(valkeys, list):
                node.redis = await stack.enter_async_context(worker_proxy(node, os.fspath(valkeys[0].path)))
            else:
                node.redis_url = valkeys.url
            node.postgres = await stack.enter_async_context(worker_proxy(node, ("127.0.0.1", postgres.port)))
        for node in nodes:
            stack.push_async_callback(node.stop)
        await asyncio.gather(*(node.start() for node in nodes))
        yield Stand(folder, postgres, valkeys, nodes)


@asynccontextmanager
async def worker_proxy(node: Node, upstream: str | tuple[str, int]) -> AsyncIterator[WorkerProxy]:
    """A proxy that knows which worker of the node talks."""
    proxy = WorkerProxy(upstream, lambda: [process.pid for process in node.workers()])
    await proxy.heal()
    try:
        yield proxy
    finally:
        await proxy.close()


@asynccontextmanager
async def valkey_pair(folder: Path) -> AsyncIterator[list[Valkey]]:
    """A Valkey and its replica, which may take over with less than the first had."""
    ports = [free_port(), free_port()]
    found: list[Valkey] = []
    with ExitStack() as stack:
        for number, port in enumerate(ports):
            own = folder / f"kv{number}"
            own.mkdir()
            more = {"replicaof": f"127.0.0.1 {ports[0]}"} if number else {}
            valkey = Valkey(
                own,
                **{"port": str(port), "bind": "127.0.0.1", "dbfilename": "dump.rdb", "repl-diskless-sync-delay": "0"},
                **MEMORY,
                **more,
            )
            stack.callback(valkey.kill)
            await asyncio.to_thread(valkey.start)
            found.append(valkey)
        yield found


REDIS: Final[dict[str, Callable[[Path], AbstractAsyncContextManager[Valkeys]]]] = {
    "pair": valkey_pair,
    "sentinel": watched_valkeys,
    "cluster": cluster_of_three,
}
"""What the workers may have for Redis."""
