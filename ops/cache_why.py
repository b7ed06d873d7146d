"""The work of `rollcall cache why`: a query is executed by a process that serves nobody, and its answer explained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from cache.second_level import SecondLevelCache
from db.database import Database
from db.frequent_operations import MOST_KEPT, FrequentOperation, frequent
from db.users import credentials_by_email
from domain.errors import RollcallError
from domain.ids import UserId
from loaders.batch import Loaders
from ops.cache_entries import opened
from resolvers.context import Context
from telemetry.clock import utc_now
from telemetry.recording import recording
from web.answers import Answer
from web.cache_report import Outcome, report_on
from web.environment import SettingsError
from web.execution import Execution, PreparedOperation
from web.graphql_request import GraphQLRequest
from web.negotiation import GRAPHQL_RESPONSE
from web.response_cache import ResponseCache
from web.settings import Settings
from web.stores import open_database
from web.viewers import viewer_from

KEPT: Final = "it rests on stamps only; a worker sends it again while they and the viewer's facts are the same"
REASONS: Final = {
    "mutation": "mutations never are",
    "error": "the answer has an error",
    "unstamped": "something was read without a stamp: Redis away, the fence lapsed, or a tag held by a writer",
    "live": "it is right for its moment only",
    "large": "it takes more than an eighth of RESPONSE_CACHE_BYTES",
}


class Question(msgspec.Struct, frozen=True):
    """What the command was given."""

    operation: str
    user: str = ""
    variables: str = ""


async def explained(settings: Settings, question: Question) -> Mapping[str, Any]:
    """Execute the query, and explain the answer."""
    from schema.root import api

    async with opened(settings) as cache:
        database = open_database(settings)
        try:
            request, user_id = await _asked(database, question)
            execution = Execution(api, settings.limits)
            prepared = execution.prepare(request, GRAPHQL_RESPONSE)
            if not isinstance(prepared, PreparedOperation):
                raise RollcallError(f"OPERATION: needed a valid query, got one that is refused: {_messages(prepared)}")
            if prepared.operation.kind.value != "query":
                return {"kept": False, "why": REASONS["mutation"], "loaders": [], "tags": []} | dict.fromkeys(_FACTS)
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
    key = responses.operation_key(prepared, GRAPHQL_RESPONSE)
    kept, reason = responses.keep(key, context, answer)
    await cache.settle()
    report = report_on(Outcome(answer, kept, reason), context, responses.facts(key), made)
    why = KEPT if kept else REASONS[reason]
    return {"kept": kept is not None, "why": f"{why}: {_messages(answer)}" if reason == "error" else why, **report}


async def _asked(database: Database, question: Question) -> tuple[GraphQLRequest, UserId]:
    """The request, and who makes it: as given, the rest as it was recorded."""
    recorded = await _recorded(database, question.operation)
    query = recorded.query if recorded else _text(question.operation)
    variables = _variables(question.variables or (recorded.variables if recorded else "{}"))
    name = recorded.operation_name if recorded else None
    if question.user:
        async with database.read() as connection:
            found = await credentials_by_email(connection, question.user)
        if found is None:
            raise RollcallError(f"--user: needed the email of a user, got {question.user!r}")
        return GraphQLRequest(query, name, variables), UserId(found.id)
    if recorded is None:
        raise SettingsError("--user: needed the email of the user who asks, got none")
    return GraphQLRequest(query, name, variables), recorded.user_id


async def _recorded(database: Database, name: str) -> FrequentOperation | None:
    async with database.read() as connection:
        return next((one for one in await frequent(connection, MOST_KEPT) if one.operation_name == name), None)


def _text(operation: str) -> str:
    if not operation.startswith("@"):
        return operation
    try:
        return Path(operation[1:]).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"OPERATION: needed a file with a query, got {operation[1:]!r}: {error}") from None


def _variables(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise SettingsError(f"--variables: needed a JSON object, got {text[:80]!r}")
    return found


def _messages(answer: Answer) -> str:
    return "; ".join(error["message"] for error in orjson.loads(answer.body)["errors"])[:500]
