"""A transaction of the driver, whose BEGIN, COMMIT and ROLLBACK show in traces: a COMMIT waits for disk and replica."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from telemetry.tracing import note_client_call

if TYPE_CHECKING:
    import asyncpg


@asynccontextmanager
async def transaction(driver: "asyncpg.Connection[asyncpg.Record]", **options: Any) -> AsyncIterator[None]:
    """Committed at the end, rolled back when an error leaves it; the options are those of the driver."""
    begun = driver.transaction(**options)
    with _traced("BEGIN"):
        await begun.start()
    try:
        yield
    except BaseException:
        with _traced("ROLLBACK"):
            await begun.rollback()
        raise
    with _traced("COMMIT"):
        await begun.commit()


@contextmanager
def _traced(command: str) -> Iterator[None]:
    began_s, failed = time.perf_counter(), True
    try:
        yield
        failed = False
    finally:
        facts = {"db.system.name": "postgresql", "db.operation.name": command}
        note_client_call(f"sql {command}", time.perf_counter() - began_s, failed, facts)
