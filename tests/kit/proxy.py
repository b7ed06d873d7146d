"""A small loopback proxy before PostgreSQL or Valkey that can refuse, hang, cut, delay, and stop at a command."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

PREPARED = re.compile(rb"P.{4}(__asyncpg_stmt_\w+__)\0([^\0]*)\0", re.DOTALL)
"""A statement is sent once with its text, and then by this name."""


class Stop:
    """A place in the conversation: the proxy waits there, with the command still unsent, until told what to do."""

    def __init__(self, marker: bytes, only_port: int = 0) -> None:
        self.marker, self.only_port = marker, only_port
        self.reached = asyncio.Event()
        self.peer_port = 0
        """Of the connection that stopped; its other end tells which process it is."""
        self._gone_on = asyncio.Event()
        self._dropped = False

    def go_on(self) -> None:
        """Send the command."""
        self._gone_on.set()

    def drop(self) -> None:
        """Never send the command, and close its connection."""
        self._dropped = True
        self._gone_on.set()

    async def wait(self, peer_port: int) -> None:
        """The proxy's side of it."""
        self.peer_port = peer_port
        self.reached.set()
        await self._gone_on.wait()
        if self._dropped:
            raise ConnectionResetError


class Proxy:
    """Forwards `port` to `upstream`, the path of a socket or (host, port); faults also strike open connections."""

    def __init__(self, upstream: str | tuple[str, int]) -> None:
        self._upstream = upstream
        self._open = asyncio.Event()
        self._open.set()
        self._delay = timedelta()
        self._bytes_left: int | None = None
        self._deaf_after: bytes | None = None
        self._late: dict[bytes, timedelta] = {}
        self._stops: list[Stop] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0
        self.asked = 0
        """How many pieces clients have sent; a command of Redis is one."""

    # -------------------------------------------------------------------------------------------------------- faults

    async def refuse(self) -> None:
        """Refuse connections, and cut the open ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def hang(self) -> None:
        """Accept everything and answer nothing."""
        self._open.clear()

    def delay(self, each: timedelta) -> None:
        """Hold up each piece of a conversation, in both directions."""
        self._delay = each

    def late(self, marker: bytes, by: timedelta | None) -> None:
        """Send every command that contains `marker` so much later; None: like any other."""
        self._late.pop(marker, None)
        if by is not None:
            self._late[marker] = by

    def point_to(self, upstream: str | os.PathLike[str], *, cut: bool = True) -> None:
        """Forward to another server from now on, as after a failover; what is open stays there if not cut."""
        self._upstream = os.fspath(upstream)
        if cut:
            self.cut()

    def cut(self) -> None:
        """Cut every open connection once."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_after(self, count: int) -> None:
        """Let `count` more bytes of answers through, then cut the connection that asks for more."""
        self._bytes_left = count

    def lose_answer_to(self, marker: bytes) -> None:
        """Send the next command that contains `marker`, then cut its connection before the answer."""
        self._deaf_after = marker

    def stop_before(self, marker: bytes, after: Stop | None = None) -> Stop:
        """Stop before the next command that contains `marker`, only on the connection that stopped `after` if given."""
        stop = Stop(marker, after.peer_port if after else 0)
        self._stops.append(stop)
        return stop

    def forget(self, stop: Stop) -> None:
        """Do not stop there after all; who is waiting there goes on."""
        if stop in self._stops:
            self._stops.remove(stop)
        stop.go_on()

    async def heal(self) -> None:
        """Forward as if nothing had been."""
        self._delay, self._bytes_left, self._deaf_after = timedelta(), None, None
        self._late.clear()
        self._open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop for good."""
        await self.refuse()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    # ---------------------------------------------------------------------------------------------------- forwarding

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if isinstance(self._upstream, str):
                there = await asyncio.open_unix_connection(self._upstream)
            else:
                there = await asyncio.open_connection(*self._upstream)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        for work in (self._questions(reader, there[1], writer), self._answers(there[0], writer, there[1])):
            pump = asyncio.create_task(work)
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _questions(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        prepared: dict[bytes, bytes] = {}
        port = (client.get_extra_info("peername") or ("", 0))[1]
        try:
            while piece := await reader.read(1 << 16):
                self.asked += 1
                await self._hold_up()
                if b"__asyncpg_stmt_" in piece:
                    prepared |= {found[1]: found[2] for found in PREPARED.finditer(piece)}
                said = [stop for stop in self._stops if _is_said(stop.marker, piece, prepared)]
                stop = next((stop for stop in said if stop.only_port in (0, port)), None)
                if stop:
                    self._stops.remove(stop)
                    await stop.wait(port)
                for by in [by for marker, by in self._late.items() if _is_said(marker, piece, prepared)]:
                    await asyncio.sleep(by.total_seconds())
                writer.write(piece)
                await writer.drain()
                if self._deaf_after is not None and self._deaf_after in piece:
                    self._deaf_after = None
                    client.transport.abort()
        except (OSError, RuntimeError):  # RuntimeError is uvloop's for a transport that was aborted
            pass
        finally:
            writer.close()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        try:
            while piece := await reader.read(1 << 16):
                await self._hold_up()
                if self._bytes_left is not None:
                    piece, self._bytes_left = piece[: self._bytes_left], max(0, self._bytes_left - len(piece))
                writer.write(piece)
                if self._bytes_left == 0:
                    break
                await writer.drain()
        except (OSError, RuntimeError):  # RuntimeError is uvloop's for a transport that was aborted
            pass
        finally:
            writer.close()
            server.close()
            self._writers.discard(writer)

    async def _hold_up(self) -> None:
        if self._delay:
            await asyncio.sleep(self._delay.total_seconds())
        await self._open.wait()


def _is_said(marker: bytes, piece: bytes, prepared: dict[bytes, bytes]) -> bool:
    return marker in piece or any(marker in text and name in piece for name, text in prepared.items())


@asynccontextmanager
async def proxy_to(upstream: str | os.PathLike[str] | tuple[str, int]) -> AsyncIterator[Proxy]:
    """A proxy that forwards until the end."""
    proxy = Proxy(upstream if isinstance(upstream, tuple) else os.fspath(upstream))
    await proxy.heal()
    try:
        yield proxy
    finally:
        await proxy.close()
