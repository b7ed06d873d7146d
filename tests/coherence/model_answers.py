"""Whole answers that the workers of the model put into Redis for each other, as the service does it."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Final

import msgspec

from cache.dependencies import Dependencies
from cache.reading import Ticket
from cache.second_level import SecondLevelCache
from domain.ids import UserId
from domain.permission import ViewerFacts, viewer_of
from tests.kit.small_company import NOW
from web.answer_entries import NAMESPACE, AnswerName, answer_name, entry_of, kept_from
from web.answers import Answer
from web.graphql_request import GraphQLRequest
from web.response_cache import KeptAnswer, ResponseCache

VIEWER: Final = viewer_of(ViewerFacts(UserId(1), "somebody@example.com", None, True, 0), NOW)
OPERATION: Final = b"told"
REQUEST: Final = GraphQLRequest("{ told }", None, {})


def _name(what: int) -> AnswerName:
    return answer_name(OPERATION, ("what",), (what,))


def put(cache: SecondLevelCache, what: int, fence: bytes, stamps: dict[str, bytes], told: dict[int, int]) -> None:
    """Let everybody have what was told."""
    kept = KeptAnswer(Answer(200, msgspec.msgpack.encode(told)), "", None, fence, stamps)
    entry = entry_of(kept, _name(what), REQUEST, NOW)
    cache.soon(partial(cache.store, NAMESPACE, _name(what).entry, entry, timedelta(hours=1)))


async def taken(cache: SecondLevelCache, what: int) -> Mapping[int, int]:
    """What somebody was told, if it may be told again."""
    [entry] = await cache.as_stored([_name(what).entry])
    kept = kept_from(entry, _name(what), NOW) if entry else None
    if kept is None:
        return {}
    responses, rests_on = ResponseCache(cache, 1_000_000, lambda: NOW), Dependencies()
    rests_on.add(Ticket(kept.fence, {}))
    responses.know(VIEWER, 0, None, rests_on)
    known = responses.known(VIEWER.user_id)
    if known is None or not await responses.admits(OPERATION, (), kept, known):
        return {}
    return msgspec.msgpack.decode(kept.answer.body, type=dict[int, int])
