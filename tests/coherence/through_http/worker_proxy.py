"""A proxy that knows which worker is at the other end of each connection, so that one worker alone can be cut off."""

import asyncio
from collections.abc import Callable

import psutil

from tests.kit.proxy import Proxy


def owner(port: int, pids: list[int]) -> int | None:
    """Which of the processes has a connection from this port of ours."""
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except psutil.Error:
            continue
        if any(connection.laddr and connection.laddr.port == port for connection in connections):
            return pid
    return None


class WorkerProxy(Proxy):
    """`pids` gives the workers that may connect."""

    def __init__(self, upstream: str | tuple[str, int], pids: Callable[[], list[int]]) -> None:
        super().__init__(upstream)
        self._pids = pids
        self._cut_off: int | None = None

    def owner(self, port: int) -> int | None:
        """The worker at the other end of a connection."""
        return owner(port, self._pids())

    def cut_off(self, pid: int) -> None:
        """Cut the connections of one worker, and refuse its next ones."""
        self._cut_off = pid
        for writer in list(self._writers):
            if owner(_port(writer), [pid]):
                writer.transport.abort()

    async def heal(self) -> None:
        """Also for the worker that was cut off."""
        self._cut_off = None
        await super().heal()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut_off is not None and owner(_port(writer), [self._cut_off]):
            writer.transport.abort()
            return
        await super()._serve(reader, writer)


def _port(writer: asyncio.StreamWriter) -> int:
    peer = writer.get_extra_info("peername")
    return int(peer[1]) if peer else 0
