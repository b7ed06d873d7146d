"""The nginx configuration of the docs before a cluster: a query whose worker is killed is asked once more."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster.conftest import ROOT, Start, free_port
from tests.cluster.load import Load, ask_once

CONFIGURATION = ROOT / "docs" / "operate" / "examples" / "nginx.conf"


@asynccontextmanager
async def nginx(upstream: int, folder: Path) -> AsyncIterator[int]:
    """nginx with the configuration of the docs; only ports, the rate and paths are other ones."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("needs nginx: `apt-get install nginx-light`")
    port = free_port()
    text = (
        CONFIGURATION.read_text()
        .replace("127.0.0.1:3002", f"127.0.0.1:{upstream}")
        .replace("rate=50r/s", "rate=10000r/s")
    )
    text = re.sub(r"listen 8080;", f"listen 127.0.0.1:{port};", text).replace("http {", "http { access_log off;")
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        text = text.replace("http {", f"http {{ {kind}_temp_path {folder}/{kind};", 1)
    (folder / "nginx.conf").write_text(f"pid {folder}/pid; daemon off;\n{text}")
    arguments = ("-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf"))
    process = await asyncio.create_subprocess_exec(program, *arguments, start_new_session=True)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    await ask_once(port)
                    break
                except OSError:
                    assert process.returncode is None, (folder / "error.log").read_text()
                    await asyncio.sleep(0.05)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def test_neither_a_killed_worker_nor_a_reload_loses_a_query(start: Start, tmp_path: Path) -> None:
    cluster = await start(DRAIN_TIMEOUT=5)
    await cluster.ready(2)
    async with nginx(cluster.port, tmp_path) as port, Load(port, method="GET") as load:
        await load.more(300)
        victim = cluster.workers()[0]
        victim.kill()
        await cluster.ready(3)
        await load.more(300)
        cluster.signal(signal.SIGHUP)
        await cluster.line("reloaded")
        await cluster.line("has left", 2)
        await load.more(300)
    assert load.failures == {}
    assert load.answers[str(victim.pid)] > 0
