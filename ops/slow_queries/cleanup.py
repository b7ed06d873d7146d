"""Has PostgreSQL and us forget what was recorded of statements."""

import msgspec

from db.database import Database, PoolLimits
from db.inspection import may_reset_statements, reset_statements, statements_counted
from db.slow_plans import forget_all, slow_plans
from domain.errors import RollcallError
from web.settings import Settings

GRANT = "GRANT EXECUTE ON FUNCTION pg_stat_statements_reset TO the user of DATABASE_URL"


class Forgotten(msgspec.Struct, frozen=True):
    """How much; `statements` is null where pg_stat_statements does not count."""

    dry_run: bool
    statements: int | None
    plans: int


async def forgotten(settings: Settings, *, dry_run: bool) -> Forgotten:
    """Forget, or only count, the statements of this database and the plans; either both or none."""
    url = settings.database.primary_url
    assert url is not None
    database = Database(url, PoolLimits(size=1), application="rollcall command")
    try:
        async with database.read() as connection:
            counted = await statements_counted(connection)
            if counted is not None and not await may_reset_statements(connection):
                raise RollcallError(f"pg_stat_statements: needed the right to reset it, got none: {GRANT}")
        async with database.transaction() as connection:
            plans = len(await slow_plans(connection)) if dry_run else await forget_all(connection)
            if counted is not None and not dry_run:
                await reset_statements(connection)
            return Forgotten(dry_run, counted, plans)
    finally:
        await database.close()
