"""The work of `rollcall db explain`: executes a query here, past the caches, and plans every statement of it."""

from typing import Any

import msgspec

from cache.second_level import SecondLevelCache
from db.database import Database
from db.explain import READING, NoPlan, first_word, plan_of
from db.inspection import table_sizes
from db.plan_advice import advice_on, tables_of
from db.statement_log import Sent, watching_statements
from domain.errors import RollcallError
from loaders.batch import Loaders
from ops.asked import Question, asked, messages, prepared_by
from ops.plan_text import outline
from resolvers.context import Context
from telemetry.clock import utc_now
from web.execution import Execution
from web.measured import operation_label
from web.negotiation import GRAPHQL_RESPONSE
from web.settings import Settings
from web.stores import open_database
from web.viewers import viewer_from


async def operation_plans(settings: Settings, question: Question) -> dict[str, Any]:
    """Each statement of the query: its name, loader, text, values, time, plan and what could be better."""
    from schema.root import api

    database, no_cache = open_database(settings), SecondLevelCache(None)
    try:
        request, user_id = await asked(database, question)
        execution = Execution(api, settings.limits)
        prepared = prepared_by(execution, request)
        kind = prepared.operation.kind.value
        if kind != "query":
            raise RollcallError(f"OPERATION: needed a query, got a {kind}: its plans would need what it writes")
        found = await viewer_from(Loaders(database, no_cache), user_id, utc_now())
        if found is None:
            raise RollcallError(f"{question.option}: needed a user who may sign in, got one who may not")
        context = Context(database, no_cache, found.viewer, request_id="explain")
        with watching_statements() as sent:
            answer = await execution.run(prepared, context, GRAPHQL_RESPONSE, "explain")
        return {
            "operation": operation_label(kind, prepared.operation.name),
            "errors": messages(answer),
            "statements": [await _planned(database, one) for one in sent],
        }
    finally:
        await database.close()


async def _planned(database: Database, sent: Sent) -> dict[str, Any]:
    analyze = first_word(sent.sql) in READING
    found: dict[str, Any] = {
        "name": sent.name,
        "loader": sent.loader,
        "statement": sent.sql,
        "values": msgspec.to_builtins(list(sent.arguments), enc_hook=repr),
        "ms": round(sent.seconds * 1e3, 2),
        "queryid": None,
        "analyzed": analyze,
        "plan": None,
        "outline": [],
        "advice": [],
        "no_plan": None,
    }
    async with database.snapshot() as connection:
        try:
            plan = await plan_of(connection, sent.sql, sent.arguments, analyze=analyze)
        except NoPlan as error:
            return found | {"no_plan": error.message}
        rows_by_table = await table_sizes(connection, sorted(tables_of(plan)))
    advice = [msgspec.structs.asdict(one) for one in advice_on(plan, rows_by_table)]
    queryid = plan.get("Query Identifier")
    return found | {
        "queryid": None if queryid is None else str(queryid),
        "plan": plan,
        "outline": outline(plan),
        "advice": advice,
    }
