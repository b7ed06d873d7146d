"""One client's connection inside a worker: knows when the client has gone or is idle, so that it is closed at once.

hypercorn waits for its keep-alive timer even when the client has closed: under clients that connect anew for each
request the descriptors of 75 s would pile up.
"""

import asyncio
import contextlib
import time
from array import array
from collections.abc import Iterator
from contextvars import ContextVar
from fcntl import ioctl
from termios import FIONREAD


class Connection:
    """Stands between hypercorn and the reader of a connection; made in the task that serves the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._fd = writer.get_extra_info("socket").fileno()
        self._quiet_since_s = time.monotonic()
        self._task = asyncio.current_task()
        self._client_has_gone = False
        self._answering = 0

    def at_eof(self) -> bool:
        """As of the reader; hypercorn asks before each read, and does not read once it is so."""
        ended = self._reader.at_eof()
        if ended:
            self._client_left()
        return ended

    async def read(self, size: int) -> bytes:
        """As of the reader."""
        data = await self._reader.read(size)
        self._quiet_since_s = time.monotonic()
        if not data:
            self._client_left()
        return data

    def end_if_quiet(self, for_s: float) -> None:
        """Close it when nothing came for so long, nothing is answered, and nothing lies unread in the kernel."""
        quiet = not self._answering and time.monotonic() - self._quiet_since_s >= for_s
        if quiet and self._task is not None and not _unread(self._fd):
            self._task.cancel()

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While within it a request or a WebSocket of the connection is served."""
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1
            self._quiet_since_s = time.monotonic()
            asyncio.get_running_loop().call_soon(self._end_if_abandoned)

    def _client_left(self) -> None:
        self._client_has_gone = True
        asyncio.get_running_loop().call_soon(self._end_if_abandoned)

    def _end_if_abandoned(self) -> None:
        if self._client_has_gone and not self._answering and self._task is not None:
            self._task.cancel()


def _unread(fd: int) -> bool:
    """Whether bytes of the client wait to be read: closing now would throw them away, and a request with them."""
    waiting = array("i", [0])
    try:
        ioctl(fd, FIONREAD, waiting)
    except OSError:
        return False
    return waiting[0] > 0


current_connection: ContextVar[Connection] = ContextVar("current_connection")
"""Set in the task of each connection, and so in every task that hypercorn makes for its requests."""
