"""One HTTP worker: hypercorn on the supervisor's socket, ready when it listens, gone when all is answered.

python -m cluster.worker NAME REPORT_FD LISTEN_FD TARGET [MODULE ...]; the modules are imported before all else.
"""

import asyncio
import gc
import importlib
import logging
import random
import sys

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from cluster.child import Orders, Report, begin, fail, load
from cluster.drain import Application, Drain
from cluster.http2 import polite_http2
from cluster.tls import certificate_end, check_certificate
from cluster.vitals import beat, vitals
from domain.errors import RollcallError
from telemetry.garbage import watch_collections
from telemetry.gauges import gauge
from web.settings import Settings


class StartFailed(RollcallError):
    """The application refused to start; the message is its own."""

    code = "START_FAILED"


def hypercorn_config(listen_fd: int, of_all: Settings) -> Config:
    """How hypercorn serves here."""
    settings, tls = of_all.cluster, of_all.tls
    config = Config()
    if tls.certificate_file is not None:
        config.certfile, config.keyfile = str(tls.certificate_file), str(tls.key_file)
        config.keyfile_password = ""  # or OpenSSL would ask the terminal for one
    config.alpn_protocols = ["h2", "http/1.1"] if tls.http2 else ["http/1.1"]
    config.ssl_handshake_timeout = 10
    config.bind = [f"fd://{listen_fd}"]
    # also asyncio's accepts per wake-up: with 100 of them one of four workers got 97 % of the requests
    config.backlog = 1
    config.keep_alive_timeout = settings.keep_alive.total_seconds()
    config.keep_alive_max_requests = round(settings.keep_alive_max_requests * random.uniform(0.9, 1.1))  # noqa: S311
    config.graceful_timeout = 2.0  # for what the drain left over
    config.errorlog = logging.getLogger("hypercorn.error")
    config.loglevel = "WARNING"
    config.include_server_header = False
    config.websocket_ping_interval = 20.0
    config.websocket_max_message_size = of_all.limits.body_bytes
    return config


async def serve_until_drained(application: Application, listen_fd: int, settings: Settings, drain: Drain) -> None:
    """Serve until the drain is finished; raises StartFailed when the application's lifespan does."""
    if (end := certificate_end(settings.tls)) is not None:
        gauge("certificate_ends", end.timestamp)
    with drain.watching_listeners(), polite_http2():
        try:
            await serve(
                drain.around(application),  # type: ignore[arg-type]
                hypercorn_config(listen_fd, settings),
                shutdown_trigger=drain.finished.wait,
                mode="asgi",
            )
        except Exception as error:
            raise (StartFailed(drain.refusal) if drain.refusal else error) from error


async def work(application: Application, listen_fd: int, settings: Settings, orders: Orders, report: Report) -> None:
    """Serve, obey and report until told to go."""
    drain = Drain(settings.cluster.drain_limit)
    orders.obey(drain.begin)
    reporting = asyncio.ensure_future(_report(drain, report))
    try:
        await serve_until_drained(application, listen_fd, settings, drain)
    finally:
        reporting.cancel()
        report.send(event_loop_lag_ms=0.0, **vitals(drain.facts))  # or the last second would be missing in the sums


async def settled(drain: Drain) -> None:
    """Wait until the application serves, and keep what it has loaded out of every later collection of garbage.

    Only later ones are timed: this one is part of the start, and would look like a fault of the service.
    """
    await drain.listening.wait()
    gc.collect()
    gc.freeze()
    watch_collections()


def collect_garbage_rarely() -> None:
    """Collect after 100,000 new objects and not 700: an answer of thousands of rows spent 30-45 % of its time on it."""
    gc.set_threshold(100_000, 50, 50)


async def _report(drain: Drain, report: Report) -> None:
    await settled(drain)
    report.send(ready=True)
    await beat(report, drain.facts)


def main(name: str, report_fd: str, listen_fd: str, target: str, *preload: str) -> int:
    """Be the worker `name` until told to go; returns the exit code."""
    report = begin(name, int(report_fd))
    collect_garbage_rarely()
    try:
        for module in preload:
            importlib.import_module(module)
        orders = Orders()
        settings = Settings.from_environment()
        check_certificate(settings.tls)
        application = load(target)
    except Exception as error:
        return fail(name, error)
    try:
        uvloop.run(work(application, int(listen_fd), settings, orders, report))
    except StartFailed as error:
        return fail(name, error, code=1)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
