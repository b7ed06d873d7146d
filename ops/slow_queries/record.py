"""What PostgreSQL and the workers recorded of statements, joined: figures, operations and loaders, plans, advice.

Each source may be missing; then the report has less, and its notes say what to do about it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from db.connection import ReadConnection
from db.database import Database, PoolLimits
from db.explain import NoPlan, estimate_of, without_values
from db.inspection import StatementRow, auto_explain_ms, evictions, slowest_statements, table_sizes
from db.plan_advice import Advice, advice_on, tables_of
from db.slow_plans import SlowPlan, slow_plans
from db.sql_comment import named
from domain.errors import Unavailable
from ops.plan_text import outline
from ops.server_log import LoggedPlan, log_of, logged_plans
from ops.status_client import StatusPort
from ops.terminal import NotReachable
from web.settings import Settings

COUNTED_BY_POSTGRESQL: Final = "pg_stat_statements: every statement of this database since its last reset"
COUNTED_BY_US: Final = (
    "the workers' own record since the service started, by name: pg_stat_statements is not there"
    " (add it to shared_preload_libraries, then CREATE EXTENSION pg_stat_statements)"
)
NOT_RUNNING: Final = (
    "the service does not run: which operations sent a statement, and the latest slow ones, are not known"
)
NOT_EXPLAINING: Final = (
    "ENABLE_EXPLAIN_ANALYZE is off: plans are PostgreSQL's estimates for any values, unless its log has better ones"
)
NOT_LOADED: Final = (
    "auto_explain is not loaded: add it to shared_preload_libraries and set auto_explain.log_min_duration"
)
LOGS_NOTHING: Final = (
    "auto_explain logs no plan: set auto_explain.log_min_duration, log_format = json and log_verbose = on"
)
UNREAD: Final = "the plans that auto_explain logs are in PostgreSQL's log: name it with --log FILE"
EVICTED: Final = "pg_stat_statements forgot its least used statements {} times: raise pg_stat_statements.max"
HIDDEN: Final = "<insufficient privilege>"


class Sender(msgspec.Struct, frozen=True):
    """An operation and a loader that sent a statement; null for what no request, or no loader, sent."""

    operation: str | None
    loader: str | None
    calls: int


class Plan(msgspec.Struct, frozen=True):
    """A plan and where it is from; `analyzed`: with what really happened."""

    source: str
    analyzed: bool
    at: str | None
    ms: float | None
    operation: str | None
    tree: Mapping[str, Any]
    outline: list[str]


class Statement(msgspec.Struct, frozen=True):
    """A statement with everything that is known of it; what is not known is null."""

    queryid: str | None
    name: str | None
    statement: str
    calls: int
    total_ms: float
    mean_ms: float
    max_ms: float | None
    p95_ms: float | None
    rows: int | None
    blocks_hit: int | None
    blocks_read: int | None
    temp_blocks: int | None
    senders: list[Sender]
    plan: Plan | None = None
    no_plan: str | None = None
    advice: list[Advice] = []


class Record(msgspec.Struct, frozen=True):
    """All of it; `latest` is null while the service does not run."""

    source: str
    notes: list[str]
    threshold_ms: float
    statements: list[Statement]
    latest: list[dict[str, Any]] | None


class Asked(msgspec.Struct, frozen=True):
    """How many statements, and with plans or without; `log` is that of PostgreSQL."""

    most: int
    plans: bool = False
    log: Path | None = None


async def record_of(settings: Settings, asked: Asked) -> Record:
    """What is known."""
    url = settings.database.primary_url
    assert url is not None
    running = _running(settings)
    database = Database(url, PoolLimits(size=1), application="rollcall command")
    try:
        async with database.read() as connection:
            counted = await slowest_statements(connection, asked.most)
            forgot = await evictions(connection) if counted is not None else 0
            auto_ms = await auto_explain_ms(connection)
            kept = await slow_plans(connection) if asked.plans else []
        if counted is None and running is None:
            raise NotReachable(f"{NOT_RUNNING}, and pg_stat_statements is not there: start either")
        senders = (running or {}).get("senders", {})
        statements = _ours(running or {}, asked.most) if counted is None else [_theirs(row, senders) for row in counted]
        notes = [] if running else [NOT_RUNNING]
        notes += [EVICTED.format(forgot)] if forgot else []
        if asked.plans:
            log = asked.log or log_of(settings)
            notes += _plan_notes(settings, auto_ms, log)
            logged = logged_plans(log) if log else {}
            async with database.snapshot() as connection:
                statements = [await _with_plan(connection, one, kept, logged) for one in statements]
    finally:
        await database.close()
    source = COUNTED_BY_US if counted is None else COUNTED_BY_POSTGRESQL
    threshold_ms = settings.queries.slow_threshold.total_seconds() * 1e3
    return Record(source, notes, threshold_ms, statements, running["slow_statements"] if running else None)


def _running(settings: Settings) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = StatusPort(settings).get("/cluster/statements")
    except NotReachable:
        return None
    return found


def _plan_notes(settings: Settings, auto_ms: int | None, log: Path | None) -> list[str]:
    notes = [] if settings.queries.explain else [NOT_EXPLAINING]
    if auto_ms is None:
        return [*notes, NOT_LOADED]
    if auto_ms < 0:
        return [*notes, LOGS_NOTHING]
    return notes if log else [*notes, UNREAD]


def _theirs(row: StatementRow, senders: Mapping[str, Any]) -> Statement:
    name, query = named(row.query)
    return Statement(
        row.queryid,
        name,
        " ".join(query.split()),
        row.calls,
        round(row.total_ms, 3),
        round(row.mean_ms, 3),
        round(row.max_ms, 3),
        None,
        row.rows,
        row.blocks_hit,
        row.blocks_read,
        row.temp_blocks,
        _senders(senders.get(name or "", {})),
    )


def _ours(running: Mapping[str, Any], most: int) -> list[Statement]:
    found = []
    for name, of in running["statements"].items():
        total_ms, senders = round(of["total_s"] * 1e3, 1), _senders(running["senders"].get(name, {}))
        mean_ms, unknown = round(total_ms / max(of["count"], 1), 3), (None,) * 4
        found.append(Statement(None, name, name, of["count"], total_ms, mean_ms, None, of["p95_ms"], *unknown, senders))
    return sorted(found, key=lambda one: -one.total_ms)[:most]


def _senders(found: Mapping[str, Mapping[str, int]]) -> list[Sender]:
    senders = [
        Sender(operation or None, loader or None, calls)
        for operation, loaders in found.items()
        for loader, calls in loaders.items()
    ]
    return sorted(senders, key=lambda sender: -sender.calls)


async def _with_plan(
    connection: ReadConnection, one: Statement, kept: Sequence[SlowPlan], logged: Mapping[str, LoggedPlan]
) -> Statement:
    plan = _recorded(one, kept, logged)
    if plan is None:
        if one.statement == HIDDEN:
            return msgspec.structs.replace(one, no_plan="another user's: GRANT pg_read_all_stats to see it")
        if one.queryid is None:
            return msgspec.structs.replace(one, no_plan="none was recorded")
        try:
            tree = await estimate_of(connection, one.statement)
        except (NoPlan, Unavailable) as error:
            return msgspec.structs.replace(one, no_plan=error.message)
        plan = Plan("estimated for any values", False, None, None, None, tree, outline(tree))
    advice = advice_on(plan.tree, await table_sizes(connection, sorted(tables_of(plan.tree))))
    if one.temp_blocks and not any(found.kind.endswith("on disk") for found in advice):
        advice.append(Advice("spilled to disk", f"{one.temp_blocks:,} temporary blocks were written", "raise work_mem"))
    return msgspec.structs.replace(one, plan=plan, advice=advice)


def _recorded(one: Statement, kept: Sequence[SlowPlan], logged: Mapping[str, LoggedPlan]) -> Plan | None:
    """A worker's, by queryid where there is one and else by name; or that of auto_explain, unless ours knows more."""
    ours = next((p for p in kept if (p.queryid == one.queryid if one.queryid else p.statement == one.name)), None)
    theirs = logged.get(one.queryid or "")
    if theirs is not None and (ours is None or not ours.analyzed):
        tree = without_values(theirs.tree)
        analyzed = "Actual Rows" in tree["Plan"]
        return Plan("auto_explain", analyzed, theirs.at, theirs.ms, None, tree, outline(tree))
    if ours is None:
        return None
    at = ours.made_at.isoformat(timespec="seconds")
    return Plan("a worker", ours.analyzed, at, ours.ms, ours.operation or None, ours.tree, outline(ours.tree))
