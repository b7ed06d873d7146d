"""The status port as a process of its own, so that nothing it does can touch the supervisor or a worker.

python -m cluster.status_process NAME REPORT_FD LISTEN_FD PROBE; the supervisor tells it every second how all are.
"""

import asyncio
import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Protocol

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from cluster.child import ON_TRIAL, Command, Orders, Report, begin, fail, load
from cluster.history import inherited
from cluster.journal import journal
from cluster.observatory import Observatory
from cluster.stats import point
from cluster.status_app import Desk, ShieldedFromBugs, status_app
from cluster.status_token import ensured_token, token_path
from cluster.vitals import resident_bytes
from domain.errors import RollcallError
from web.hosts import LOCAL_NAMES
from web.settings import Settings, is_loopback

PROBE_PAUSE: Final = timedelta(seconds=2)
PROBE_LIMIT: Final = timedelta(seconds=3)
PENDING_LIMIT: Final = timedelta(seconds=4)


class Probe(Protocol):
    """Looks after the servers that the service depends on."""

    async def look(self) -> Mapping[str, Any]:
        """The state of each, by name; one that does not answer has an `error` and is not `up`."""

    async def close(self) -> None:
        """Close its connections."""


def versions() -> dict[str, str]:
    """Of this service and of what it stands on."""
    return {"rollcall": _version("rollcall"), "python": platform.python_version(), "hypercorn": _version("hypercorn")}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


async def work(listen_fd: int, open_probe: Callable[[Settings], Probe], orders: Orders, report: Report) -> None:
    """Serve the status port until told to go."""
    settings = Settings.from_environment()
    token = ensured_token(settings)
    if token is None:
        journal.warning("nothing can be changed through the status port: set STATUS_TOKEN, or DATA_DIR so that %s "
                        "can be written and read", token_path(settings))  # fmt: skip
    observatory = Observatory(versions())
    desk = Desk(observatory, report.send, token)

    def handle(_: Command) -> None:
        desk.closing.set()

    def inform(line: str) -> None:
        observatory.take(line)
        observatory.points.append(point(observatory))

    hosts = settings.http.allowed_hosts or (LOCAL_NAMES if is_loopback(settings.server.status_host) else ("*",))
    if ON_TRIAL in os.environ:
        observatory.points.extend(await inherited(listen_fd, hosts[0].replace("*", "localhost")))
    orders.obey(handle, inform)
    application = ShieldedFromBugs(
        status_app(desk, hosts),
        lambda error: journal.error("the status port failed", exc_info=error),
    )
    async with AsyncExitStack() as stack:
        probe = open_probe(settings)
        stack.push_async_callback(probe.close)
        for job in (_look(probe, observatory), _report(report)):
            stack.push_async_callback(_cancelled, asyncio.ensure_future(job))
        await serve(application, _config(listen_fd), shutdown_trigger=lambda: _finished(desk), mode="asgi")  # type: ignore[arg-type]


async def _finished(desk: Desk) -> None:
    """Wait until this process is to go, and then for the answers that are still due."""
    await desk.closing.wait()
    with suppress(TimeoutError):
        await asyncio.wait_for(desk.idle.wait(), PENDING_LIMIT.total_seconds())
    await asyncio.sleep(0.1)  # for the answer itself


async def _look(probe: Probe, observatory: Observatory) -> None:
    while True:
        started_s = time.monotonic()
        try:
            async with asyncio.timeout(PROBE_LIMIT.total_seconds()):
                observatory.servers = await probe.look()
        except TimeoutError:
            waited_s = time.monotonic() - started_s
            observatory.servers = {"database": {"up": False, "error": f"no answer within {waited_s:.0f} s"}}
        except Exception as error:
            journal.error("the probe failed", exc_info=error)
        await asyncio.sleep(PROBE_PAUSE.total_seconds())


async def _report(report: Report) -> None:
    """Only that it lives: what it counts itself is none of the service's business."""
    report.send(ready=True)
    while True:
        await asyncio.sleep(1)
        report.send(cpu_s=round(time.process_time(), 3), rss_bytes=resident_bytes())


async def _cancelled(task: "asyncio.Future[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _config(listen_fd: int) -> Config:
    config = Config()
    config.bind = [f"fd://{listen_fd}"]
    config.graceful_timeout = 1.0
    config.errorlog = logging.getLogger("hypercorn.error")
    config.loglevel = "WARNING"
    config.include_server_header = False
    return config


def main(name: str, report_fd: str, listen_fd: str, probe: str) -> int:
    """Be the status process until told to go; returns the exit code."""
    report = begin(name, int(report_fd))
    try:
        orders = Orders()
        open_probe = load(probe)
        uvloop.run(work(int(listen_fd), open_probe, orders, report))
    except (ImportError, RollcallError, OSError) as error:
        return fail(name, error)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
