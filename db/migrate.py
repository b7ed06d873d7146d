"""Brings a database to today's schema: one process at a time, however many start at once."""

from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from db.engine import new_engine
from db.tags import declaration_hash, trigger_script
from domain.errors import RollcallError

MIGRATION_LOCK: Final = 7390
EXTENSIONS: Final = ("btree_gist", "citext", "pg_trgm")
"""What the schema is built of. They are trusted: whoever may create in the database may create them."""
REFUSALS: Final = {
    "42501": "its user may not do what the migration needs ({}): make it the owner of the database",
    "0A000": "its PostgreSQL lacks what the schema needs ({}): install postgresql-contrib there",
    "25006": "it takes no writes ({}): name the primary",
    "42": "it does not hold what its alembic_version says ({}): restore both together, or name an empty database",
    "53": "its PostgreSQL has no room for the migration ({}): give it some",
}
"""What PostgreSQL may say to a migration, by SQLSTATE or its class, and what helps."""


class MigrationError(RollcallError):
    """The database cannot be brought to today's schema."""

    exit_code = 2


def alembic_config() -> Config:
    """Where the migrations are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


async def upgrade(database_url: str) -> None:
    """Run the missing migrations and install the cache triggers of today's declaration."""
    engine = new_engine(database_url, {}, {}, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade)
    except (DBAPIError, asyncpg.PostgresError) as error:
        cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else error
        state = getattr(cause, "sqlstate", None) or ""
        refusal = REFUSALS.get(state) or REFUSALS.get(state[:2])
        if refusal is None:
            raise
        raise MigrationError("DATABASE_URL: " + refusal.format(str(cause).splitlines()[0])) from error
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    """All in one transaction: who comes at the same time waits for its end, also behind PgBouncer."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    config = alembic_config()
    _refuse_a_newer_database(connection, config)
    config.attributes["connection"] = connection
    present = set(connection.scalars(text("SELECT extname FROM pg_extension")))
    for name in EXTENSIONS:
        if name not in present:
            connection.execute(text(f"CREATE EXTENSION {name}"))
    before = _revisions(connection)
    command.upgrade(config, "head")
    _install_triggers(connection)
    if _revisions(connection) != before:  # a migration may change rows by statements that no trigger sees
        connection.execute(text("UPDATE cache_state SET run_id = ''"))
    connection.commit()


def _refuse_a_newer_database(connection: Connection, config: Config) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if unknown := _revisions(connection) - known:
        found = ", ".join(sorted(unknown))
        raise MigrationError(
            f"DATABASE_URL: the database has migration {found}, this version knows those up to {max(known)}:"
            " start a newer Rollcall on it, or name another database"
        )


def _revisions(connection: Connection) -> set[str]:
    """The migrations that the database stands at; none before the first."""
    if connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return set()
    return set(connection.scalars(text("SELECT version_num FROM alembic_version")))


def _install_triggers(connection: Connection) -> None:
    """Only when the declaration changed: replacing triggers takes locks that writers would wait for."""
    today = declaration_hash()
    if connection.scalar(text("SELECT declaration FROM cache_state")) != today:
        driver = connection.connection.driver_connection
        assert driver is not None
        await_only(driver.execute(trigger_script()))
        connection.execute(
            text("UPDATE cache_state SET declaration = :today, epoch = epoch + 1, run_id = ''"), {"today": today}
        )


def newest_migration() -> str | None:
    """The migration that `upgrade` leads to."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()
