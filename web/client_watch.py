"""Noticing that the client of a running query has left, so that nobody's work is stopped."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

from web.deadlines import Deadline

WATCH_AFTER_S = 0.05  # most requests are over by then and need no task that listens


class ClientWatch:
    """Around the work for one client: when the client leaves, its time is over."""

    def __init__(self, receive: Receive, deadline: Deadline) -> None:
        self._receive = receive
        self._deadline = deadline
        self._listening: asyncio.Task[None] | None = None
        self._left = False

    async def __aenter__(self) -> Self:
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._listen)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._listening:
            self._listening.cancel()

    @property
    def client_left(self) -> bool:
        """Whether the work was cancelled because the client left."""
        return self._left

    def _listen(self) -> None:
        self._listening = asyncio.get_running_loop().create_task(self._until_gone())

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._deadline.bring_forward()
