"""npm's PM2 with the ecosystem file of deploy/: starts, starts again, reloads and stops the real service."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.cluster.conftest import free_port
from tests.deploy.tools import DEPLOY, needed, said
from web.signing_key import kept_key

LIMIT_S = 90.0


class Pm2:
    """A PM2 with a home of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        self._program = needed(
            "pm2", "`make test-deploy` installs it, where npm is installed and reaches a package registry"
        )
        self._variables = {"PM2_HOME": str(home), **variables}

    async def __call__(self, *arguments: str) -> str:
        return await asyncio.to_thread(said, self._program, *arguments, **self._variables)

    async def start(self) -> None:
        await self("start", str(DEPLOY / "pm2" / "ecosystem.config.cjs"))

    async def process(self) -> dict[str, Any]:
        """What PM2 says of the service."""
        told = await self("jlist")
        [found] = json.loads(told[told.index("[{") :])
        return {"pid": found["pid"], "status": found["pm2_env"]["status"], "restarts": found["pm2_env"]["restart_time"]}


@asynccontextmanager
async def pm2(folder: Path, **variables: object) -> AsyncIterator[Pm2]:
    """PM2 over a service with private servers and without the demo; it is gone at the end."""
    given = {"DATA_DIR": folder / "data", "DEMO": "off", "CLUSTER_WORKERS": 1, "PORT": free_port(), **variables}
    own = Pm2(folder / "pm2", STATUS_PORT=str(free_port()), **{name: str(value) for name, value in given.items()})
    try:
        yield own
    finally:
        await own("kill")


async def ready(port: int) -> None:
    """Wait until the service is."""
    async with httpx2.AsyncClient() as client, asyncio.timeout(LIMIT_S):
        while True:
            try:
                if (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


async def serving(own: Pm2) -> tuple[int, set[psutil.Process]]:
    """The supervisor, once PM2 has one whose worker and status process bear their names; and these two."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            pid = (await own.process())["pid"]
            try:
                children = psutil.Process(pid).children() if pid else []
                named = {child for child in children if child.name().startswith("rollcall: ")}
            except psutil.NoSuchProcess:
                named = set()
            if len(named) == 2:
                return pid, named
            await asyncio.sleep(0.1)


async def gone(processes: set[psutil.Process]) -> None:
    """Wait until processes have ended; one that nobody has reaped yet has."""
    async with asyncio.timeout(LIMIT_S):
        while any(alive(process) for process in processes):
            await asyncio.sleep(0.1)


def alive(process: psutil.Process) -> bool:
    """Whether a process runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_starts_again_reloads_and_stops(tmp_path: Path) -> None:
    port = free_port()
    async with pm2(tmp_path, PORT=port) as own:
        await own.start()
        await ready(port)
        first, orphans = await serving(own)
        os.kill(first, signal.SIGKILL)
        await gone(orphans)
        second, old = await serving(own)  # at the second or third try: orphans hold the ports for a moment
        await ready(port)
        assert second != first
        assert (await own.process())["status"] == "online"

        await own("sendSignal", "SIGHUP", "rollcall")
        await gone(old)
        third, last = await serving(own)
        await ready(port)
        assert (third, last & old) == (second, set())

        await own("stop", "rollcall")
        await gone(last)
        assert (await own.process())["status"] == "stopped"


async def test_what_cannot_start_says_why_and_is_tried_again(tmp_path: Path) -> None:
    kept_key(key := tmp_path / "auth.key")
    servers = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/rollcall", "REDIS_URL": "redis://127.0.0.1:1"}
    async with pm2(tmp_path, AUTH_PRIVATE_KEY_FILE=key, **servers) as own:
        await own.start()
        async with asyncio.timeout(LIMIT_S):
            while (await own.process())["restarts"] < 2:
                await asyncio.sleep(0.1)
        [log] = (tmp_path / "pm2" / "logs").glob("rollcall-error*.log")
        assert log.read_text().count("DATABASE_URL: needed a PostgreSQL that answers") >= 2
        assert "Traceback" not in log.read_text()
