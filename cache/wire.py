"""A connection to Redis that redis-py has made, spoken to past it: packed and read by hiredis, one command at a time.

redis-py takes 80 us of Python for a command, this a write, a future and a read: 30 (tests/cache/measure_commands.py).
"""

import asyncio
import select
from typing import Any, Final, Self, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError

INCOMPLETE: Final = object()


class Wire(asyncio.Protocol):
    """One connection; `run_id` is that of the server at its other end."""

    def __init__(self, connection: AbstractConnection) -> None:
        """Take over a connection that has been opened, and whose every answer has been read."""
        self._connection = cast("Any", connection)
        self._transport: asyncio.Transport = self._connection._writer.transport
        self._reader = hiredis.Reader(replyError=BaseParser.parse_error, notEnoughData=INCOMPLETE)
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[Any] | None = None
        self._unread = select.poll()
        self._unread.register(self._transport.get_extra_info("socket"), select.POLLIN)
        self.run_id = ""
        self._transport.set_protocol(self)

    @classmethod
    async def open(cls, connection: AbstractConnection) -> Self:
        """Connect, sign in, and learn which server it is."""
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            wire = cls(connection)
            info = await wire.ask("INFO", "server")
            if isinstance(info, Exception):
                raise info
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        text = info.decode() if isinstance(info, bytes) else str(info)
        wire.run_id = next(line[7:] for line in text.splitlines() if line.startswith("run_id:"))
        return wire

    async def ask(self, *command: Any) -> Any:
        """The answer to a command, also when it is an error; who gives up waiting for it closes the connection."""
        answer = self._answer = self._loop.create_future()
        self._transport.write(cast("bytes", hiredis.pack_command(command)))
        try:
            return await answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None

    def give_up(self) -> None:
        """Let who waits for an answer wait no longer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(TimeoutError())

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has arrived that the event loop has not seen: it may say that the other end has closed it."""
        return not self._unread.poll(0)

    @property
    def is_open(self) -> bool:
        """Whether nobody has closed it, as far as the event loop knows."""
        return not self._transport.is_closing()

    def close(self) -> None:
        """Close it at once, whatever is under way."""
        self._transport.abort()
        self._connection._close()

    # ------------------------------------------------------------------------------------- called by the event loop

    def data_received(self, data: bytes) -> None:
        """Something has arrived."""
        self._reader.feed(data)
        try:
            while (answer := self._reader.gets()) is not INCOMPLETE:
                if not isinstance(answer, hiredis.PushNotification):
                    self._told(answer)
        except hiredis.HiredisError as error:
            self._lost(error)

    def connection_lost(self, error: Exception | None) -> None:
        """It has ended."""
        self._lost(error)

    def _told(self, answer: object) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # an answer to nothing that was asked: which one is the next?
        else:
            self._answer.set_result(answer)

    def _lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(RedisConnectionError(str(error or "the server closed the connection")))
        self.close()
