"""The rig: one database, a corner of the cache kept coherent by a drain, a clock, and the real schema over them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

import orjson
from graphql import OperationType
from sqlalchemy import text

from cache.second_level import SecondLevelCache
from cache.server import CacheUnreachable, Server
from db.connection import Query
from db.database import Database, PoolLimits
from domain.errors import Unavailable
from domain.permission import Viewer, viewer_of
from loaders.batch import Loaders
from loaders.drain import TICK, drain_once
from loaders.unit_of_work import unit_of_work
from loaders.users import viewer_by_user
from resolvers.context import Context
from schema.root import api
from tests.kit.answers import Answer
from tests.kit.clock import Clock
from tests.kit.round_trips import recorded
from tests.kit.rows import Rows
from web.answers import Answer as Reply
from web.execution import Execution
from web.graphql_request import GraphQLRequest
from web.http_settings import LimitSettings
from web.negotiation import GRAPHQL_RESPONSE

NO_REPEATS: Mapping[str, int] = {}
PATIENCE = timedelta(seconds=10)  # a busy machine must not open the breaker


class Rig:
    """Executes operations; made by `open_rig`."""

    def __init__(self, url: str, redis_url: str, now: datetime) -> None:
        self.database = Database(url, PoolLimits(size=4, statement=timedelta(seconds=60)))
        self.clock = Clock(now)
        self._redis_url = redis_url
        self._drain: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._execution = Execution(api, LimitSettings())
        self.cache = SecondLevelCache(None)

    async def cold(self) -> None:
        """Go on with an empty cache: another prefix, whose fence is good at once and kept alive."""
        await self._close_cache()
        self.cache = SecondLevelCache(Server(self._redis_url, PATIENCE), f"test:{token_hex(6)}")
        assert await drain_once(self.database, self.cache), "another process leads the drain of this database"
        self._stop = asyncio.Event()
        self._drain = asyncio.create_task(_drain_until(self._stop, self.database, self.cache))

    async def uncached(self) -> None:
        """Go on without a cache."""
        await self._close_cache()
        self.cache = SecondLevelCache(None)

    async def close(self) -> None:
        """Stop the drain and close every connection, once lookups that nobody waits for any more have ended."""
        await self._stop_drain()
        if orphans := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(orphans, timeout=5)
        await self._close_cache()
        await self.database.close()

    async def _close_cache(self) -> None:
        await self._stop_drain()
        await self.cache.close()

    async def _stop_drain(self) -> None:
        if self._drain is not None:
            self._stop.set()
            await self._drain
            self._drain = None

    # ----------------------------------------------------------------------------------------------------- executing

    async def viewer(self, email: str) -> Viewer:
        """The viewer that a signed-in user is at this moment."""
        async with self.database.read() as connection:
            sql = "SELECT id FROM app_user WHERE email = CAST(:email AS citext)"
            [(user_id,)] = await connection.records(Query("kit", text(sql)), email=email)
        loaders = Loaders(self.database, self.cache)
        facts = await loaders.must(viewer_by_user, user_id)
        await self.cache.settle()
        return viewer_of(facts, self.clock())

    def context(self, viewer: Viewer | None) -> Context:
        """A context as a request has it."""
        return Context(self.database, self.cache, viewer, request_id="test", clock=self.clock)

    async def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        viewer: Viewer | None = None,
        *,
        repeats: Mapping[str, int] = NO_REPEATS,
    ) -> Answer:
        """Execute an operation as a request would; in a query no statement may run twice, unless `repeats` says so."""
        prepared = self._execution.prepare(GraphQLRequest(query, None, dict(variables or {})), GRAPHQL_RESPONSE)
        with recorded() as made:
            if isinstance(prepared, Reply):
                reply, is_query = prepared, False
            else:
                reply = await self._execution.run(prepared, self.context(viewer), GRAPHQL_RESPONSE, "test")
                is_query = prepared.operation.kind is OperationType.QUERY
        await self.cache.settle()
        body = orjson.loads(reply.body)
        answer = Answer(reply.status, body.get("data"), body.get("errors", []), made)
        if is_query:
            answer.check_repeats(repeats)
        return answer

    async def data(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        viewer: Viewer | None = None,
        *,
        repeats: Mapping[str, int] = NO_REPEATS,
    ) -> Any:
        """The data of an operation that must not fail."""
        answer = await self.execute(query, variables, viewer, repeats=repeats)
        assert not answer.errors, answer.errors
        return answer.data

    async def warm(
        self, query: str, variables: Mapping[str, Any] | None = None, viewer: Viewer | None = None
    ) -> Answer:
        """Execute twice; the second answer, which has to say the same as the first."""
        first = await self.execute(query, variables, viewer)
        second = await self.execute(query, variables, viewer)
        assert (second.data, second.errors) == (first.data, first.errors), "cold and warm answers differ"
        return second

    # ------------------------------------------------------------------------------------------------------- writing

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[Rows]:
        """Write rows in a unit of work, so that the cache hears of them."""
        async with unit_of_work(self.database, self.cache) as unit:
            yield Rows(unit.connection)

    async def records(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """What a statement finds."""
        async with self.database.read() as connection:
            return await connection.records(Query("kit", text(sql)), **parameters)


async def _drain_until(stop: asyncio.Event, database: Database, cache: SecondLevelCache) -> None:
    """Like drain_for_ever, but it ends between two drains: a statement that is cancelled outlives the event loop."""
    stopping = asyncio.create_task(stop.wait())
    while not stopping.done():
        with suppress(CacheUnreachable, Unavailable):
            await drain_once(database, cache)
        await asyncio.wait({stopping}, timeout=TICK.total_seconds())


@asynccontextmanager
async def open_rig(url: str, redis_url: str, now: datetime) -> AsyncIterator[Rig]:
    """A rig over a database, with an empty cache."""
    rig = Rig(url, redis_url, now)
    try:
        await rig.cold()
        yield rig
    finally:
        await rig.close()
