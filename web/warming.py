"""Warming: the queries that are asked most are executed before anybody asks, with the rights that users have now."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Literal

import orjson
import structlog
from graphql import OperationType

from cache.second_level import SecondLevelCache
from db.database import Database
from db.frequent_operations import FrequentOperation, frequent
from domain.errors import RollcallError, Unavailable
from loaders.batch import Loaders
from loaders.departments import ALL, all_departments
from resolvers.context import Context
from telemetry.counters import count
from web.execution import Execution, PreparedOperation
from web.graphql_request import GraphQLRequest
from web.response_cache import ResponseCache
from web.shared_answers import SharedAnswers
from web.viewers import viewer_from

PAUSE: Final = timedelta(milliseconds=250)
MOST_TRIES: Final = 40

Outcome = Literal["warmed", "refused", "gone", "not_kept", "failed"]
"""Refused: the query fits the schema no more. Gone: its user may not sign in any more."""

log = structlog.get_logger("rollcall.warming")


class Warming:
    """Fills the second-level cache and the whole answers, those of the worker and those that all share."""

    def __init__(
        self,
        database: Database,
        cache: SecondLevelCache,
        responses: ResponseCache,
        shared: SharedAnswers,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._cache = cache
        self._responses = responses
        self._shared = shared
        self._clock = clock

    async def warm(self, execution: Execution, most: int) -> Counter[str]:
        """Execute the `most` frequent operations, one after the other, until the database is busy."""
        found: Counter[str] = Counter()
        async with self._database.read() as connection:
            operations = await frequent(connection, most)
        for operation in operations:
            if self._database.busy:
                found["left_out"] = len(operations) - found.total()
                break
            outcome = await self._execute(execution, operation)
            count("warming", outcome)
            found[outcome] += 1
        await self._cache.settle()
        return found

    async def warm_once(self, execution: Execution, most: int) -> None:
        """The same at the start of a worker, as soon as the cache is usable; a fault only leaves it cold."""
        try:
            for _ in range(MOST_TRIES):
                if await self.usable():
                    await self.warm(execution, most)
                    return
                await asyncio.sleep(PAUSE.total_seconds())
            count("warming", "failed")
        except Unavailable:
            count("warming", "failed")
        except Exception:
            count("warming", "failed")
            log.exception("warming failed")

    async def usable(self) -> bool:
        """Whether anything would be stored now."""
        return (await self._cache.read(all_departments.policy, [ALL])).ticket is not None

    async def _execute(self, execution: Execution, operation: FrequentOperation) -> Outcome:
        try:
            request = GraphQLRequest(operation.query, operation.operation_name, orjson.loads(operation.variables))
            prepared = execution.prepare(request, operation.media_type)
            if not isinstance(prepared, PreparedOperation) or prepared.operation.kind is not OperationType.QUERY:
                return "refused"
            return await self._answer(execution, prepared, operation)
        except Unavailable:
            return "failed"
        except RollcallError:
            return "refused"

    async def _answer(self, execution: Execution, prepared: PreparedOperation, asked: FrequentOperation) -> Outcome:
        loaders = Loaders(self._database, self._cache)
        known = await viewer_from(loaders, asked.user_id, self._clock())
        if known is None:
            return "gone"
        viewer = self._responses.know(known.viewer, known.token_epoch, known.valid_until, loaders.dependencies)
        look = await self._shared.look(prepared, asked.user_id)
        if await self._shared.find(look, asked.user_id):
            return "warmed"
        context = Context(self._database, self._cache, viewer, request_id="warming", clock=self._clock)
        answer = await execution.run(prepared, context, asked.media_type, "warming")
        kept, _ = self._responses.keep(prepared.key, context, answer)
        if kept is not None:
            self._shared.store_later(look, context, kept)
        return "warmed" if kept else "not_kept"
