"""The whole deployment on loopback: proxy, two nodes of the service, PostgreSQL and Valkey, each with its replica."""

import asyncio
import json
import os
import signal
import sys
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from db.database import Database
from db.migrate import upgrade
from ops.demo import DEMO_PASSWORD, fill_demo
from tests.cluster.conftest import ROOT, Cluster, free_port
from tests.deploy.engines import PostgreSQL, Valkey
from tests.deploy.proxies import Proxy, haproxy, valkey_proxy
from web.signing_key import kept_key

EMPLOYEES, DAYS, SEED = 160, 5, 7
WORKERS = 2
NOBODY_PUNCHED_FOR = timedelta(minutes=5)
"""A check-in within a minute of a badge read of unknown direction counts as the same one read twice."""


class Journal(Cluster):
    """A supervisor whose own lines are kept, and those about requests are not."""

    limit_s = 120.0

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if not line.startswith(b"{"):
                async with self._news:
                    self.lines.append(line.decode().rstrip())
                    self._news.notify_all()
        async with self._news:
            self._news.notify_all()


class Node:
    """One node of the service: a supervisor with its workers, on the same ports however often it is started."""

    def __init__(self, name: str, folder: Path, variables: dict[str, str]) -> None:
        self.port, self._status_port = free_port(), free_port()
        self._variables = variables | {
            "PORT": str(self.port),
            "STATUS_PORT": str(self._status_port),
            "DATA_DIR": str(folder / name),
            "CLUSTER_WORKERS": str(WORKERS),
            "DB_POOL_SIZE": "5",
            "DEMO": "off",
        }
        self.cluster: Journal

    async def start(self) -> None:
        """Start it and wait until every worker serves."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "server.py"),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **self._variables},
        )
        self.cluster = Journal(process, self.port, self._status_port)
        await self.cluster.ready(WORKERS)

    async def kill(self) -> None:
        """Lose it as one loses a machine: every process at once."""
        os.killpg(self.cluster.process.pid, signal.SIGKILL)
        await self.cluster.ended()

    async def kill_a_worker(self) -> None:
        """Kill a worker and wait for the one in its place."""
        victim = self.cluster.workers()[0]
        victim.kill()
        await self.cluster.ready(WORKERS + 1)

    async def roll(self) -> None:
        """Replace every process without losing a request."""
        before = {process.pid for process in self.cluster.processes()}
        self.cluster.signal(signal.SIGHUP)
        await self.cluster.line(" reloaded$")
        async with asyncio.timeout(Journal.limit_s):
            while before & {process.pid for process in self.cluster.processes()}:
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Stop it in good order, and kill what does not."""
        if self.cluster.process.returncode is None:
            self.cluster.signal(signal.SIGTERM)
        try:
            await self.cluster.ended()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.cluster.process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Stage:
    """Everything that runs."""

    port: int
    nodes: list[Node]
    postgresql: PostgreSQL
    valkey: Valkey
    token: str
    employees: list[str]


@asynccontextmanager
async def stage(proxy: Proxy, folder: Path) -> AsyncIterator[Stage]:
    """Bring everything up, with the demo company; stop it all at the end."""
    postgresql, valkey = PostgreSQL(folder), Valkey(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(postgresql.stop)
        stack.push_async_callback(valkey.stop)
        await asyncio.gather(postgresql.start(), valkey.start())
        sentinels = [each.port for each in valkey.sentinels]
        redis_url = f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in sentinels)}/rollcall"
        if proxy is haproxy:  # the other way that the docs tell
            redis_port = await stack.enter_async_context(valkey_proxy(valkey.ports, sentinels, folder))
            redis_url = f"redis://127.0.0.1:{redis_port}/0"
        await fill(postgresql)
        kept_key(folder / "auth.key")
        variables = {
            "DATABASE_URL": postgresql.url,
            "DATABASE_REPLICA_URL": postgresql.replica_url,
            "REDIS_URL": redis_url,
            "AUTH_PRIVATE_KEY_FILE": str(folder / "auth.key"),
            "TRUSTED_PROXIES": "127.0.0.1",
        }
        nodes = [Node(name, folder, variables) for name in ("node-1", "node-2")]
        for node in nodes:
            await node.start()
            stack.push_async_callback(node.stop)
        port = await stack.enter_async_context(proxy([node.port for node in nodes], folder))
        token = await asyncio.to_thread(sign_in, port)
        employees = await asyncio.to_thread(active_employees, port, token)
        yield Stage(port, nodes, postgresql, valkey, token, employees)


async def fill(postgresql: PostgreSQL) -> None:
    """Put a small demo company into the primary."""
    await postgresql.ask(postgresql.primary.port, "GRANT pg_monitor TO app")
    url = postgresql.url.replace("postgresql://", "postgresql+asyncpg://")
    await upgrade(url)
    database = Database(url)
    await fill_demo(database, EMPLOYEES, DAYS, SEED, datetime.now(UTC) - NOBODY_PUNCHED_FOR, lambda done, total: None)
    await database.close()


def sign_in(port: int) -> str:
    """A token of the demo's HR, who may punch for everybody."""
    form = {"grant_type": "password", "username": "hr@rollcall.test", "password": DEMO_PASSWORD}
    address = f"http://127.0.0.1:{port}/auth/token"
    with urllib.request.urlopen(address, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
        return str(json.load(answer)["access_token"])


def active_employees(port: int, token: str) -> list[str]:
    """The global ids of those who may be punched for."""
    document = "{ employees(first: 500, filter: {statuses: [ACTIVE]}) { nodes { id hiredOn } } }"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": document}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        nodes = json.load(answer)["data"]["employees"]["nodes"]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return [node["id"] for node in nodes if node["hiredOn"] < today]
