"""What operators ask of PostgreSQL: its state and settings, the outbox of the cache, statements that take long."""

from datetime import datetime
from typing import Final

import asyncpg
import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection

MOST_COUNTED: Final = 100_000

_SERVER: Final = Query(
    "server_state",
    text("""
    SELECT current_setting('server_version'), current_setting('server_version_num')::int,
      CAST(extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS float8), pg_is_in_recovery(),
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
      (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
      pg_database_size(current_database()), clock_timestamp(), to_regclass('alembic_version') IS NOT NULL"""),
)
_COHERENCE: Final = Query(
    "coherence_state",
    text(f"""
    SELECT s.epoch::text, s.suspended_until > clock_timestamp(), ltrim(s.run_id, '>'),
      (SELECT count(*) FROM (SELECT FROM cache_outbox LIMIT {MOST_COUNTED}) o), (SELECT min(id) FROM cache_outbox)
    FROM cache_state s"""),
)
_MIGRATION: Final = Query("migration", text("SELECT version_num FROM alembic_version"))
_SETTINGS: Final = Query(
    "server_settings", text("SELECT name, setting FROM pg_settings WHERE name = ANY(CAST(:names AS text[]))")
)
_EXTENSIONS: Final = Query("extensions", text("SELECT extname FROM pg_extension"))
_STATEMENTS: Final = Query(
    "slowest_statements",
    text("""
    SELECT CAST(queryid AS text), left(min(query), 50000), CAST(sum(calls) AS bigint), sum(total_exec_time),
      sum(total_exec_time) / sum(calls), max(max_exec_time), CAST(sum(rows) AS bigint),
      CAST(sum(shared_blks_hit) AS bigint), CAST(sum(shared_blks_read) AS bigint),
      CAST(sum(temp_blks_written) AS bigint)
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND calls > 0
      AND query NOT ILIKE 'EXPLAIN%'
    GROUP BY queryid ORDER BY 4 DESC, 1 LIMIT :most"""),
)
_RESET: Final = Query(
    "statements_reset",
    text("""
    SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = current_database()), 0)"""),
)
_MAY_RESET: Final = Query(
    "statements_may_reset",
    text("""
    SELECT has_function_privilege(p.oid, 'EXECUTE') FROM pg_proc p WHERE p.proname = 'pg_stat_statements_reset'"""),
)
_COUNTED: Final = Query(
    "statements_counted",
    text("""
    SELECT count(*) FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""),
)
_EVICTIONS: Final = Query("statements_evictions", text("SELECT dealloc FROM pg_stat_statements_info"))
_AUTO_EXPLAIN: Final = Query(
    "auto_explain", text("SELECT setting FROM pg_settings WHERE name = 'auto_explain.log_min_duration'")
)
_SIZES: Final = Query(
    "table_sizes",
    text("""
    SELECT relname, CAST(max(greatest(reltuples, 0)) AS float8) FROM pg_class
    WHERE relkind IN ('r', 'p', 'm') AND relname = ANY(CAST(:names AS text[])) GROUP BY relname"""),
)


class ServerState(msgspec.Struct, frozen=True, array_like=True):
    """PostgreSQL at a moment; `usable_connections` are those that it has for ordinary users."""

    version: str
    version_number: int
    uptime_s: float
    in_recovery: bool
    usable_connections: int
    connections: int
    database_bytes: int
    clock: datetime
    migrated: bool


class CoherenceState(msgspec.Struct, frozen=True, array_like=True):
    """The database's side of the cache; `oldest` is the outbox's first entry."""

    epoch: str
    suspended: bool
    run_id: str
    outbox_rows: int
    oldest: int | None


class StatementRow(msgspec.Struct, frozen=True, array_like=True):
    """A normalised statement as pg_stat_statements counted it; without queryid all that other users' sent."""

    queryid: str | None
    query: str
    calls: int
    total_ms: float
    mean_ms: float
    max_ms: float
    rows: int
    blocks_hit: int
    blocks_read: int
    temp_blocks: int


async def server_state(connection: ReadConnection) -> ServerState:
    """The state of the server."""
    found = await connection.first(_SERVER, ServerState)
    assert found is not None
    return found


async def coherence_state(connection: ReadConnection) -> CoherenceState | None:
    """The database's side of the cache; asked only of a migrated database."""
    return await connection.first(_COHERENCE, CoherenceState)


async def migration(connection: ReadConnection) -> str | None:
    """The migration that the database stands at; asked only of a migrated one."""
    return await connection.first(_MIGRATION, str)


async def server_settings(connection: ReadConnection, names: list[str]) -> dict[str, str]:
    """Settings of the server by name, those that it knows."""
    return {str(name): str(value) for name, value in await connection.records(_SETTINGS, names=names)}


async def slowest_statements(connection: ReadConnection, most: int) -> list[StatementRow] | None:
    """The statements that took most time in all; None where pg_stat_statements does not count."""
    if not await _counts(connection):
        return None
    return await connection.all(_STATEMENTS, StatementRow, most=most)


async def _counts(connection: ReadConnection) -> bool:
    if "pg_stat_statements" not in await connection.all(_EXTENSIONS, str):
        return False
    try:
        await connection.records(_COUNTED)
    except asyncpg.ObjectNotInPrerequisiteStateError:  # the extension was created, but its library is not loaded
        return False
    return True


async def statements_counted(connection: ReadConnection) -> int | None:
    """How many statements of this database pg_stat_statements knows; None where it does not count."""
    return await connection.first(_COUNTED, int) if await _counts(connection) else None


async def evictions(connection: ReadConnection) -> int:
    """How often pg_stat_statements forgot its least used statements for want of room; asked only where it counts."""
    return await connection.first(_EVICTIONS, int) or 0


async def may_reset_statements(connection: ReadConnection) -> bool:
    """Whether we may have pg_stat_statements forget."""
    return any(await connection.all(_MAY_RESET, bool))


async def reset_statements(connection: ReadConnection) -> None:
    """Have pg_stat_statements forget the statements of this database."""
    await connection.records(_RESET)


async def auto_explain_ms(connection: ReadConnection) -> int | None:
    """From how many milliseconds on auto_explain logs a plan, -1 for never; None where it is not loaded."""
    found = await connection.first(_AUTO_EXPLAIN, str)
    return None if found is None else int(found)


async def table_sizes(connection: ReadConnection, names: list[str]) -> dict[str, float]:
    """About how many rows tables have, by name, as ANALYZE found."""
    return {str(name): float(rows) for name, rows in await connection.records(_SIZES, names=names)}
