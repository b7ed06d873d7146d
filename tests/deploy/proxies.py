"""nginx and HAProxy with the configuration of deploy/, before upstreams of a test: ports, rates and paths differ."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.cluster.conftest import free_port
from tests.deploy.tools import DEPLOY, needed

Proxy = Callable[..., AbstractAsyncContextManager[int]]
NO_LIMIT = 1_000_000


@asynccontextmanager
async def nginx(
    upstreams: Sequence[int], folder: Path, rate: int = NO_LIMIT, balancers: str = ""
) -> AsyncIterator[int]:
    """nginx before ports of this machine; the value is its own port. `balancers` is the network of PROXY headers."""
    program, port = needed("nginx", "`make test-deploy` installs it; or `apt-get install nginx-light`"), free_port()
    text = with_ports((DEPLOY / "nginx" / "nginx.conf").read_text(), upstreams)
    text = text.replace("worker_processes auto", "worker_processes 1").replace("rate=50r/s", f"rate={rate}r/s")
    if balancers:
        text = text.replace("    listen 8080;\n", "").replace("# listen 8080 proxy", "listen 8080 proxy")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("10.0.0.0/8", balancers or "10.0.0.0/8")
    paths = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in ("client_body", "proxy"))
    text = text.replace("http {", f"http {{ access_log off; {paths}", 1)
    (folder / "nginx.conf").write_text(f"pid {folder}/nginx.pid; daemon off; error_log {folder}/nginx.log;\n{text}")
    command = (program, "-p", str(folder), "-e", str(folder / "nginx.log"), "-c", str(folder / "nginx.conf"))
    async with running(command, port, folder):
        yield port


@asynccontextmanager
async def haproxy(
    upstreams: Sequence[int], folder: Path, rate: int = NO_LIMIT, balancers: str = ""
) -> AsyncIterator[int]:
    """HAProxy before ports of this machine; the value is its own port. `balancers` is the network of PROXY headers."""
    program, port = needed("haproxy", "`apt-get install haproxy`"), free_port()
    text = with_ports((DEPLOY / "haproxy" / "haproxy.cfg").read_text(), upstreams)
    text = text.replace("bind :8080", f"bind 127.0.0.1:{port}").replace("gt 600", f"gt {rate}")
    if balancers:
        text = text.replace("# tcp-request connection expect-proxy", "tcp-request connection expect-proxy")
        text = text.replace("10.0.0.0/8", balancers)
    text = re.sub(r"^    (log|option httplog).*\n", "", text, flags=re.MULTILINE)
    (folder / "haproxy.cfg").write_text(text.replace("maxconn 20000", "maxconn 2000\n    nbthread 1"))
    async with running((program, "-db", "-f", str(folder / "haproxy.cfg")), port, folder):
        yield port


@asynccontextmanager
async def valkey_proxy(servers: Sequence[int], sentinels: Sequence[int], folder: Path) -> AsyncIterator[int]:
    """HAProxy that leads to the Valkey that the Sentinels name as primary."""
    program, port = needed("haproxy", "`apt-get install haproxy`"), free_port()
    text = (DEPLOY / "haproxy" / "valkey.cfg").read_text()
    ours = (6379, 16380, 16381, 6380, 6381, 26379, 26380, 26381)
    theirs = dict(zip(ours, (port, free_port(), free_port(), *servers, *sentinels), strict=True))
    text = re.sub(r"(127.0.0.1(?::| port ))(\d+)", lambda found: f"{found[1]}{theirs[int(found[2])]}", text)
    text = re.sub(r"(638[01])(\\r\")", lambda found: f"{theirs[int(found[1])]}{found[2]}", text)
    (folder / "valkey.cfg").write_text(text.replace("maxconn 4000", "maxconn 400\n    nbthread 1"))
    async with running((program, "-db", "-f", str(folder / "valkey.cfg")), port, folder):
        yield port


def with_ports(text: str, upstreams: Sequence[int]) -> str:
    """The configuration for other nodes than the two that it names."""
    first, second = upstreams
    return text.replace("127.0.0.1:3002", f"127.0.0.1:{first}").replace("127.0.0.1:3012", f"127.0.0.1:{second}")


@asynccontextmanager
async def running(command: Sequence[str], port: int, folder: Path) -> AsyncIterator[None]:
    """A program that is up once its port can be reached, and is stopped at the end."""
    with (folder / f"{Path(command[0]).name}.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, start_new_session=True)
    try:
        async with asyncio.timeout(20):
            while not await reachable(port):
                assert process.returncode is None, f"{command[0]} ended: see {folder}"
                await asyncio.sleep(0.02)
        yield
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def reachable(port: int) -> bool:
    """Whether somebody listens on a port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
