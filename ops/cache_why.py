"""The work of `rollcall cache why`: a query is executed by a process that serves nobody, and its answer explained."""

from collections.abc import Mapping
from typing import Any, Final

from cache.second_level import SecondLevelCache
from db.database import Database
from domain.errors import RollcallError
from domain.ids import UserId
from loaders.batch import Loaders
from ops.asked import Question, asked, messages, prepared_by
from ops.cache_entries import opened
from resolvers.context import Context
from telemetry.clock import utc_now
from telemetry.recording import recording
from web.answers import Answer
from web.cache_report import Outcome, report_on
from web.execution import Execution, PreparedOperation
from web.negotiation import GRAPHQL_RESPONSE
from web.response_cache import ResponseCache
from web.settings import Settings
from web.stores import open_database
from web.viewers import viewer_from

KEPT: Final = "it rests on stamps only; a worker sends it again while they and the viewer's facts are the same"
REASONS: Final = {
    "mutation": "mutations never are",
    "subscription": "subscriptions never are: each event is executed",
    "error": "the answer has an error",
    "unstamped": "something was read without a stamp",
    "live": "it is right for its moment only",
    "large": "it takes more than an eighth of RESPONSE_CACHE_BYTES",
}
PAST_THE_CACHE: Final = {
    "breaker": "Redis does not answer",
    "fenced": "the fence has lapsed",
    "held": "a writer holds a tag",
    "unreachable": "Redis does not answer",
}


async def explained(settings: Settings, question: Question) -> Mapping[str, Any]:
    """Execute the query, and explain the answer."""
    from schema.root import api

    async with opened(settings) as cache:
        database = open_database(settings)
        try:
            request, user_id = await asked(database, question)
            execution = Execution(api, settings.limits)
            prepared = prepared_by(execution, request)
            kind = prepared.operation.kind.value
            if kind != "query":
                return {"kept": False, "why": REASONS[kind], "loaders": [], "tags": []} | dict.fromkeys(_FACTS)
            responses = ResponseCache(cache, settings.cache.response_bytes, utc_now)
            return await _explained(database, cache, responses, execution, prepared, user_id)
        finally:
            await database.close()


_FACTS: Final = ("bytes", "validUntil", "viewerFacts", "redisReads", "sql", "tagCount")


async def _explained(
    database: Database,
    cache: SecondLevelCache,
    responses: ResponseCache,
    execution: Execution,
    prepared: PreparedOperation,
    user_id: UserId,
) -> Mapping[str, Any]:
    found = await viewer_from(Loaders(database, cache), user_id, utc_now())
    if found is None:
        raise RollcallError("--user: needed a user who may sign in, got one who may not")
    context = Context(database, cache, found.viewer, request_id="why")
    with recording() as made:
        answer = await execution.run(prepared, context, GRAPHQL_RESPONSE, "why")
    key = prepared.key
    kept, reason = responses.keep(key, context, answer)
    await cache.settle()
    report = report_on(Outcome(answer, kept, reason), context, responses.facts(key), made)
    return {"kept": kept is not None, "why": KEPT if kept else _why_not(reason, answer, report), **report}


def _why_not(reason: str, answer: Answer, report: Mapping[str, Any]) -> str:
    if reason == "error":
        return f"{REASONS[reason]}: {messages(answer)}"
    past = {PAST_THE_CACHE.get(why, why) for of in report["loaders"] for why in of["bypasses"]}
    if reason == "unstamped" and not past:
        return "nothing that it reads has a stamp"
    return ": ".join([REASONS[reason], *sorted(past)])
