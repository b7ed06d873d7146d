"""The work of `rollcall cache warm`: the frequent operations, executed by a process that serves nobody."""

from collections.abc import Mapping
from typing import Any, Final

from db.frequent_operations import FrequentOperation, frequent
from ops.cache_entries import opened
from telemetry.clock import utc_now
from telemetry.counters import counters
from web.response_cache import ResponseCache
from web.settings import Settings
from web.shared_answers import SharedAnswers
from web.stores import open_database
from web.warming import Warming

LONGEST_SHOWN: Final = 60


async def warmed(settings: Settings, most: int, *, dry_run: bool) -> Mapping[str, Any]:
    """Execute them; of a dry run, which they are."""
    async with opened(settings) as cache:
        database = open_database(settings)
        responses = ResponseCache(cache, settings.cache.response_bytes, utc_now)
        warming = Warming(database, cache, responses, SharedAnswers(cache, responses, utc_now), utc_now)
        try:
            usable = await warming.usable()
            if dry_run:
                async with database.read() as connection:
                    operations = await frequent(connection, most)
                return {"usable": usable, "dry_run": True, "operations": [_shown(found) for found in operations]}
            from schema.root import api
            from web.execution import Execution

            before = _fills()
            outcomes = await warming.warm(Execution(api, settings.limits), most) if usable else {}
            return {"usable": usable, "dry_run": False, "outcomes": dict(outcomes), "fills": _fills() - before}
        finally:
            await database.close()


def _fills() -> int:
    return sum(number for (name, _), number in counters.items() if name == "cache_fills")


def _shown(operation: FrequentOperation) -> dict[str, Any]:
    return {
        "operation": operation.operation_name or " ".join(operation.query.split())[:LONGEST_SHOWN],
        "variables": operation.variables,
        "user_id": operation.user_id,
        "weight": round(operation.weight, 1),
    }
