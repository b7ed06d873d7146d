"""Shadow verification of whole answers: now and then one that was sent from memory is made again and compared."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from db.connection import ReadConnection
from db.database import Database
from domain.errors import Unavailable
from domain.ids import UserId
from loaders.batch import Loaders
from loaders.verification import Served, Shadow
from resolvers.context import Context
from web.execution import Execution, PreparedOperation
from web.measured import OUR_FAULT
from web.response_cache import KeptAnswer, ResponseCache
from web.viewers import viewer_from

KIND: Final = "answer"


class ShadowAnswers:
    """Makes answers again from within one snapshot, past every cache."""

    def __init__(
        self, shadow: Shadow, responses: ResponseCache, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self._shadow = shadow
        self._responses = responses
        self._database = database
        self._clock = clock

    def consider(
        self, kept: KeptAnswer, user_id: int | None, prepared: PreparedOperation, execution: Execution, media_type: str
    ) -> None:
        """Perhaps verify an answer that was just found for a viewer."""
        if not self._shadow.wants():
            return
        stamps = self._responses.rests_on(kept, user_id)
        if stamps is None:
            return

        async def again(connection: ReadConnection) -> object:
            context = await self._context(connection, user_id, kept.made_at)
            body = await made_again(execution, prepared, context, media_type)
            # what time alone has changed meanwhile says nothing
            return kept.answer.body if self._responses.is_over(kept, user_id) else body

        self._shadow.begin(KIND, Served("", kept.answer.body, kept.fence, stamps, again))

    async def _context(self, connection: ReadConnection, user_id: int | None, made_at: datetime | None) -> Context:
        loaders = Loaders(self._database, self._shadow.cache)
        loaders.inside(connection)
        found = None if user_id is None else await viewer_from(loaders, UserId(user_id), self._clock())
        viewer = found.viewer if found else None
        return Context(self._database, self._shadow.cache, viewer, loaders=loaders, made_at=made_at, clock=self._clock)


async def made_again(execution: Execution, prepared: PreparedOperation, context: Context, media_type: str) -> bytes:
    """What an answer is now; raises Unavailable when it cannot be made: then nothing is known of the one that was."""
    answer = await execution.run(prepared, context, media_type, "verification")
    if not OUR_FAULT.isdisjoint(answer.error_codes):
        raise Unavailable("the answer could not be made again")
    return answer.body
