"""Whether a database stands at today's schema, found out without loading what would bring it there."""

from pathlib import Path
from typing import Final

from sqlalchemy import text

from db.connection import Query, ReadConnection
from db.tags import declaration_hash

VERSIONS: Final = Path(__file__).parent / "migrations" / "versions"
_HAS_MIGRATIONS: Final = Query(
    "has_migrations",
    text("SELECT to_regclass('alembic_version') IS NOT NULL AND to_regclass('cache_state') IS NOT NULL"),
)
_STANDING: Final = Query(
    "standing",
    text("SELECT (SELECT string_agg(version_num, ' ') FROM alembic_version), (SELECT declaration FROM cache_state)"),
)


def newest_file() -> str:
    """The number of the newest migration, by the names of their files."""
    return max(path.name[:4] for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


async def is_migrated(connection: ReadConnection) -> bool:
    """Whether `db.migrate.upgrade` would find nothing to do."""
    if not await connection.first(_HAS_MIGRATIONS, bool):
        return False
    found = await connection.records(_STANDING)
    return tuple(found[0]) == (newest_file(), declaration_hash())
