"""The service without a supervisor (ENABLE_CLUSTERING=false): one server in the starting process, the same drain.

For debuggers and profilers: nothing is restarted or reloaded.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping

from cluster.child import Command, load
from cluster.drain import Drain
from cluster.journal import journal
from cluster.listener import listen
from cluster.worker import collect_garbage_rarely, serve_until_drained, settled
from web.settings import ClusterSettings


async def serve_in_process(
    listener: socket.socket,
    target: str,
    settings: ClusterSettings,
    prepare: Callable[[], Awaitable[Mapping[str, str]]],
    on_ready: Callable[[], None] = lambda: None,
) -> int:
    """Serve "module:attribute" until SIGTERM or SIGINT; what `prepare` or the application raises comes out.

    A signal while it starts, and a second one at any time, stops at once.
    """
    drain = Drain(settings.drain_limit)
    _handle_signals(drain, listener)
    collect_garbage_rarely()
    announcing = asyncio.create_task(_announce(drain, on_ready))
    try:
        os.environ.update(await prepare())
        application = load(target)
        listen(listener)
        await serve_until_drained(application, os.dup(listener.fileno()), settings, drain)
    except asyncio.CancelledError:
        journal.warning("stopped at once")
    finally:
        announcing.cancel()
        listener.close()
    return 0


def _handle_signals(drain: Drain, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None

    def asked_to_stop() -> None:
        if drain.listening.is_set() and not drain.leaving:
            drain.begin(Command.STOP)
            listener.close()  # nobody else would answer those who came now
        else:
            serving.cancel()

    for asked in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(asked, asked_to_stop)


async def _announce(drain: Drain, on_ready: Callable[[], None]) -> None:
    await settled(drain)
    on_ready()
