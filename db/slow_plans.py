"""The plans of slow statements, kept in the database so that every command sees them: the last of each, and few."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import msgspec
import orjson
from sqlalchemy import text

from db.connection import Query, ReadConnection, WriteConnection

MOST_KEPT: Final = 100
LONGEST_CHARACTERS: Final = 200_000
OWN: Final = frozenset({"slow_plan_keep", "slow_plans_forget"})
"""The names of what keeps plans: explaining those would never end."""

_KEEP: Final = Query(
    "slow_plan_keep",
    text("""
    INSERT INTO slow_plan (digest, queryid, statement, operation, loader, ms, analyzed, plan)
    VALUES (:digest, CAST(:queryid AS bigint), :statement, :operation, :loader, :ms, :analyzed, :plan)
    ON CONFLICT (digest) DO UPDATE SET (queryid, statement, operation, loader, ms, analyzed, plan, made_at) =
      ROW (excluded.queryid, excluded.statement, excluded.operation, excluded.loader, excluded.ms, excluded.analyzed,
           excluded.plan, clock_timestamp())"""),
)
_FORGET: Final = Query(
    "slow_plans_forget",
    text("""
    DELETE FROM slow_plan WHERE digest IN (
      SELECT digest FROM slow_plan ORDER BY made_at DESC, digest OFFSET CAST(:most AS int))"""),
)
_LIST: Final = Query(
    "slow_plans",
    text("""
    SELECT CAST(queryid AS text), statement, operation, loader, ms, analyzed, plan, made_at FROM slow_plan
    ORDER BY made_at DESC, digest"""),
)
_THERE: Final = Query("slow_plans_there", text("SELECT to_regclass('slow_plan') IS NOT NULL"))


class SlowPlan(msgspec.Struct, frozen=True, array_like=True):
    """The plan of a statement as JSON, and what it was slow for; `analyzed`: with what really happened."""

    queryid: str | None
    statement: str
    operation: str
    loader: str
    ms: float
    analyzed: bool
    plan: str
    made_at: datetime

    @property
    def tree(self) -> Mapping[str, Any]:
        """The plan as EXPLAIN gave it."""
        found: Mapping[str, Any] = orjson.loads(self.plan)
        return found


async def keep(connection: WriteConnection, sql: str, plan: Mapping[str, Any], **facts: Any) -> None:
    """Keep a plan in place of the one before, and forget the oldest."""
    as_text = orjson.dumps(plan).decode()
    if len(as_text) > LONGEST_CHARACTERS:
        return
    queryid = plan.get("Query Identifier")
    digest = blake2b(sql.encode(), digest_size=16).digest()
    await connection.execute(_KEEP, digest=digest, queryid=queryid, plan=as_text, **facts)
    await connection.execute(_FORGET, most=MOST_KEPT)


async def slow_plans(connection: ReadConnection) -> list[SlowPlan]:
    """Every plan, the newest first; none in a database that is not ours."""
    return await connection.all(_LIST, SlowPlan) if (await connection.first(_THERE, bool)) else []


async def forget_all(connection: WriteConnection) -> int:
    """Forget every plan; returns how many there were."""
    return await connection.execute(_FORGET, most=0) if (await connection.first(_THERE, bool)) else 0
