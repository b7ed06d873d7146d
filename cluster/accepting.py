"""Connections between their acceptance and their first line of service: a worker that leaves must not forget them.

With TLS that is the whole handshake, in which hypercorn does not know of them yet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class _Ticket:
    """Lives as long as the protocol of its connection: one whose handshake fails is never served."""


class Accepting:
    """Counts the connections that were accepted and are not served yet."""

    def __init__(self) -> None:
        self._waiting: WeakSet[_Ticket] = WeakSet()

    def __len__(self) -> int:
        return len(self._waiting)

    async def listen(self, serve: Serve, **options: Any) -> asyncio.Server:
        """As asyncio.start_server."""
        loop = asyncio.get_running_loop()

        def accepted() -> asyncio.StreamReaderProtocol:
            self._waiting.add(ticket := _Ticket())

            async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                self._waiting.discard(ticket)
                await serve(reader, writer)

            return asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), begin, loop=loop)

        return await loop.create_server(accepted, **options)
