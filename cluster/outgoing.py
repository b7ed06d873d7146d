"""One write for all that is sent to a client in one turn of the event loop, so that an answer is whole or not there.

hypercorn writes the head of an answer and its body apart: when a worker was killed between the two, a proxy that had
the head could not ask another worker.
"""

import asyncio
from typing import Any, Final

AT_ONCE: Final = 1 << 16
"""Bytes that are not held back: a long answer goes out while it is made."""


class Outgoing:
    """Stands between hypercorn and the writer of a connection."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._held = bytearray()

    def write(self, data: bytes) -> None:
        """Hold the bytes until the end of this turn, or until there are many."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._send)
        self._held += data
        if len(self._held) >= AT_ONCE:
            self._send()

    async def drain(self) -> None:
        """Wait while the client is slow to take what was sent before."""
        await self._writer.drain()

    def write_eof(self) -> None:
        """As of the writer."""
        self._send()
        self._writer.write_eof()

    def close(self) -> None:
        """As of the writer."""
        self._send()
        self._writer.close()

    async def wait_closed(self) -> None:
        """As of the writer."""
        await self._writer.wait_closed()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the writer."""
        return self._writer.get_extra_info(name, default)

    def _send(self) -> None:
        if self._held and not self._writer.is_closing():
            self._writer.write(bytes(self._held))
        self._held.clear()
