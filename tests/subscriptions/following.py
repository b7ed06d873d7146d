"""Following a subscription of the service without a transport."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from starlette.datastructures import Headers

from tests.kit.small_company import HR
from tests.responses.service import Service
from tests.subscriptions.hand_beat import HandBeat
from web.execution import PreparedOperation
from web.graphql_request import GraphQLRequest
from web.live import Event, Subscription, Wanted
from web.negotiation import GRAPHQL_RESPONSE

IN_NOW = "subscription { todayChanged { asOf inNow } }"


async def wanted(
    service: Service, query: str, user: str, *, request_id: str = "test", consistency: str | None = None
) -> Wanted:
    """An operation that somebody wants to follow."""
    prepared = service.live.execution.prepare(GraphQLRequest(query, None, {}, consistency), GRAPHQL_RESPONSE)
    assert isinstance(prepared, PreparedOperation)
    return Wanted(prepared, Headers({"authorization": f"Bearer {await service.token(user)}"}), request_id)


class Follower:
    """Follows a subscription without a transport; `heard` are its events."""

    def __init__(self, service: Service, events: Subscription) -> None:
        self._live = service.live
        if not isinstance(self._live.beat, HandBeat):
            self._live.beat = HandBeat()
        self.beat: HandBeat = self._live.beat
        self.events = events
        self.heard: list[Event] = []
        self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            event = await self.events.next()
            self.heard.append(event)
            if event.is_last:
                return

    async def strike(self) -> Any:
        """What is told after one look; None for nothing."""
        before = len(self.heard)
        await self.beat.strike(self._live.open)
        return self.data if len(self.heard) > before else None

    async def last(self) -> Event:
        """The event that ends it, after one look."""
        await self.beat.strike(self._live.open - 1)
        async with asyncio.timeout(30):
            await asyncio.wait({self._task})
        return self.heard[-1]

    @property
    def data(self) -> Any:
        """The data of the latest event."""
        found = orjson.loads(self.heard[-1].answer.body)
        assert "errors" not in found, found
        return found["data"]["todayChanged"]

    async def end(self) -> None:
        self._task.cancel()
        await asyncio.wait({self._task})
        self.events.close()


@asynccontextmanager
async def following(
    service: Service, query: str = IN_NOW, user: str = HR, *, consistency: str | None = None
) -> AsyncIterator[Follower]:
    """Somebody who follows a subscription and has been told the first event."""
    follower = Follower(service, service.live.follow(await wanted(service, query, user, consistency=consistency)))
    try:
        await follower.beat.all_wait(service.live.open)
        assert len(follower.heard) == 1
        yield follower
    finally:
        await follower.end()
