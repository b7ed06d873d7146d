"""The trivial application as a service of its own: python -m tests.cluster.run_example PORT."""

import asyncio
import os
import sys
from collections.abc import Mapping

import uvloop

from cluster.in_process import serve_in_process
from cluster.journal import journal, open_journal
from cluster.listener import bind, bound
from cluster.process import status_role, worker_role
from cluster.supervisor import Supervisor
from cluster.tls import check_certificate
from domain.errors import RollcallError
from web.settings import Settings

TARGET = "tests.cluster.example:app"


async def prepare() -> Mapping[str, str]:
    """Take as long as asked to, and fail when asked to."""
    journal.info("preparing")
    await asyncio.sleep(float(os.environ.get("EXAMPLE_PREPARE_S", "0")))
    if (file := os.environ.get("EXAMPLE_PREPARE_FAILS_IF")) and os.path.exists(file):
        raise RollcallError("the database is of a later version")
    check_certificate(Settings.from_environment().tls, warn=True)
    return {"EXAMPLE_PREPARED": "yes"}


async def main(port: int) -> int:
    settings = Settings.from_environment()
    listener = bind("127.0.0.1", port)
    status = None
    if "EXAMPLE_STATUS" in os.environ:
        status_listener = bound(settings.server.status_host, settings.server.status_port, "STATUS_")
        status = status_role(status_listener, "tests.cluster.example_probe:Probe")

    def on_ready() -> None:
        journal.info("serving on port %d", listener.getsockname()[1])

    if not settings.cluster.enabled:
        return await serve_in_process(listener, TARGET, settings, prepare, on_ready, status)
    roles = [worker_role(listener, TARGET, preload=["tests.cluster.preloaded"]), *([status] if status else [])]
    return await Supervisor(listener, roles, settings.cluster, prepare, on_ready).run()


if __name__ == "__main__":
    open_journal()
    run = asyncio.run if os.environ.get("ENABLE_CLUSTERING") != "false" else uvloop.run
    try:
        sys.exit(run(main(int(sys.argv[1]))))
    except RollcallError as error:
        journal.error("%s", error.message)
        sys.exit(2)
