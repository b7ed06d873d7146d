"""What a worker does about its SQL statements while it serves: logs them, and records the plans of slow ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.database import Database
from db.explainer import Explainer
from db.statement_log import statement_log
from web.running import running
from web.settings import QuerySettings


@asynccontextmanager
async def statements_recorded(queries: QuerySettings, database: Database) -> AsyncIterator[None]:
    """Within it, as the settings say."""
    statement_log.every, statement_log.slow = queries.log_all, True
    try:
        if not queries.explain:
            yield
            return
        explainer = Explainer(database)
        statement_log.on_slow = explainer.consider
        async with running(explainer.explain_for_ever()):
            yield
    finally:
        statement_log.every, statement_log.slow, statement_log.on_slow = False, False, None
