"""One client's connection inside a worker: knows when the client has gone, so that it is closed at once.

hypercorn waits for its keep-alive timer even when the client has closed: under clients that connect anew for each
request the descriptors of 75 s would pile up.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from contextvars import ContextVar


class Connection:
    """Stands between hypercorn and the reader of a connection; made in the task that serves the connection."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
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
        if not data:
            self._client_left()
        return data

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """While within it a request or a WebSocket of the connection is served."""
        self._answering += 1
        try:
            yield
        finally:
            self._answering -= 1
            asyncio.get_running_loop().call_soon(self._end_if_abandoned)

    def _client_left(self) -> None:
        self._client_has_gone = True
        asyncio.get_running_loop().call_soon(self._end_if_abandoned)

    def _end_if_abandoned(self) -> None:
        if self._client_has_gone and not self._answering and self._task is not None:
            self._task.cancel()


current_connection: ContextVar[Connection] = ContextVar("current_connection")
"""Set in the task of each connection, and so in every task that hypercorn makes for its requests."""
