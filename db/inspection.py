"""What operators ask of PostgreSQL: its state and settings, the outbox of the cache, statements that take long."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection
from domain.errors import Unavailable

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
    SELECT s.epoch::text, s.suspended_until > clock_timestamp(), s.run_id,
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
    SELECT queryid::text, regexp_replace(left(query, 2000), '\\s+', ' ', 'g'), calls, total_exec_time, mean_exec_time,
      max_exec_time, rows, shared_blks_hit, shared_blks_read
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY total_exec_time DESC LIMIT :most"""),
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
    """A normalised statement as pg_stat_statements counted it."""

    queryid: str
    query: str
    calls: int
    total_ms: float
    mean_ms: float
    max_ms: float
    rows: int
    blocks_hit: int
    blocks_read: int


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
    if "pg_stat_statements" not in await connection.all(_EXTENSIONS, str):
        return None
    try:
        return await connection.all(_STATEMENTS, StatementRow, most=most)
    except Unavailable:
        raise
    except Exception:  # the extension was created, but its library is not loaded
        return None
