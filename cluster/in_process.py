"""The service without a supervisor (ENABLE_CLUSTERING=false): one server in the starting process, the same drain.

For debuggers and profilers: nothing is restarted or reloaded.
"""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from cluster.child import Command, load
from cluster.drain import Drain
from cluster.journal import journal
from cluster.listener import listen
from cluster.process import Child, Role
from cluster.terminal import Terminal
from cluster.vitals import vitals
from cluster.worker import collect_garbage_rarely, serve_until_drained, settled
from web.settings import Settings


async def serve_in_process(
    listener: socket.socket,
    target: str,
    settings: Settings,
    prepare: Callable[[], Awaitable[Mapping[str, str]]],
    on_ready: Callable[[], None] = lambda: None,
    status: Role | None = None,
) -> int:
    """Serve "module:attribute" until SIGTERM or SIGINT; what `prepare` or the application raises comes out.

    A signal while it starts, and a second one at any time, stops at once. The status port is a process of its own here
    too, so that it answers while a debugger holds this one.
    """
    drain = Drain(settings.cluster.drain_limit)
    _handle_signals(drain, listener)
    collect_garbage_rarely()
    watching: asyncio.Task[None] | None = None
    announcing = asyncio.create_task(_announce(drain, on_ready))
    try:
        os.environ.update(found := await prepare())
        if status is not None:
            watching = asyncio.create_task(_watched(status, found, drain))
        application = load(target)
        listen(listener)
        await serve_until_drained(application, os.dup(listener.fileno()), settings, drain)
    except asyncio.CancelledError:
        journal.warning("stopped at once")
    finally:
        announcing.cancel()
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        listener.close()
    return 0


def _handle_signals(drain: Drain, listener: socket.socket) -> None:
    loop, terminal = asyncio.get_running_loop(), Terminal()
    serving = asyncio.current_task()
    assert serving is not None

    def asked_to_stop() -> None:
        if drain.listening.is_set() and not drain.leaving:
            drain.begin(Command.STOP)
            listener.close()  # nobody else would answer those who came now
        else:
            serving.cancel()

    def hung_up() -> None:
        if terminal.was_closed():
            asked_to_stop()
        else:
            journal.warning("not reloaded: ENABLE_CLUSTERING is off; restart the service")

    for asked in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(asked, asked_to_stop)
    loop.add_signal_handler(signal.SIGHUP, hung_up)
    for asked in (signal.SIGTTIN, signal.SIGTTOU):  # left alone they would stop the process
        loop.add_signal_handler(asked, journal.warning, "not scaled: ENABLE_CLUSTERING is off")


async def _watched(role: Role, environment: Mapping[str, str], drain: Drain) -> None:
    """Run the status port until cancelled, and tell it every second how we are."""
    child, began = Child(role, 1), time.time()
    await child.start()
    child.configure(environment)
    try:
        while child.lives:
            report: dict[str, object] = {"name": "worker 1", "role": "worker", "pid": os.getpid(), "began": began}
            due_s = time.monotonic() + 1.0
            await asyncio.sleep(1.0)
            lag_ms = round((time.monotonic() - due_s) * 1e3, 1)
            report |= {"serves": drain.listening.is_set(), "event_loop_lag_ms": lag_ms, **vitals(drain.facts)}
            snapshot = {"clustered": False, "workers": 1, "lives": [], "answers": {}, "departed": {}}
            child.inform(json.dumps(snapshot | {"processes": [report]}, separators=(",", ":")))
        journal.warning("the status port has ended; it is not restarted with ENABLE_CLUSTERING=false")
    finally:
        await child.leave(Command.STOP, timedelta(0))


async def _announce(drain: Drain, on_ready: Callable[[], None]) -> None:
    await settled(drain)
    on_ready()
