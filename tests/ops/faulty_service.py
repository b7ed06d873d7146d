"""The real service with faults that a test plants: python -m tests.ops.faulty_service PORT.

A request's header `x-fault` plants what happens around it; the names of operations what happens in its resolvers.
"""

import asyncio
import gc
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import text

from cluster.journal import open_journal
from cluster.listener import bind, bound
from cluster.process import status_role, worker_role
from cluster.supervisor import Supervisor
from db.connection import Query
from loaders.batch import MOST_KEYS, Batch
from loaders.employees import employee_by_id
from ops.perf.diagnosis import LONGEST_COLLECTION_MS
from resolvers.context import Context
from server import PRELOAD, application
from telemetry.executions import MANY
from telemetry.requests import current_operation
from web.settings import Settings

TARGET: Final = "tests.ops.faulty_service:served"
BLOCKED_S, SLEPT_S, HELD_S = 0.6, 0.7, 0.1
HOLD: Final = Query("held_for_long", text(f"SELECT pg_sleep({HELD_S})"))


class Faulty:
    """Around the application."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        match dict(scope.get("headers", ())).get(b"x-fault", b"").decode():
            case "block":
                time.sleep(BLOCKED_S)
            case "spin":
                spin()
            case "garbage":
                litter()
            case "split":
                employee_by_id.most_keys = 1
        try:
            await self._app(scope, receive, send)
        finally:
            employee_by_id.most_keys = MOST_KEYS


def litter() -> None:
    """Make objects until looking through them takes twice as long as is complained of."""
    kept, took_s = [], 0.0
    while took_s < 2e-3 * LONGEST_COLLECTION_MS:
        kept += [[number] for number in range(1_000_000)]
        began_s = time.perf_counter()
        gc.collect()
        took_s = time.perf_counter() - began_s


def spin() -> None:
    """Use the processor."""
    end_s = time.monotonic() + 0.2
    while time.monotonic() < end_s:
        pass


_load = Context.load


async def load_badly(context: Context, batch: Batch[Any, Any], key: Any) -> Any:
    """In place of Context.load."""
    match current_operation.get():
        case "query Slow":
            await asyncio.sleep(SLEPT_S)
        case "query Repeat":
            async with context.database.read() as connection:
                for _ in range(MANY + 2):
                    await batch.fetch(connection, [key])
        case "query Hold":
            async with context.database.read() as connection:
                await connection.records(HOLD)
    return await _load(context, batch, key)


def __getattr__(name: str) -> object:
    if name == "served":
        Context.load = load_badly  # type: ignore[method-assign, assignment]
        return Faulty(application(Settings.from_environment()))
    raise AttributeError(name)


async def prepare() -> Mapping[str, str]:
    return {}


async def main(port: int) -> int:
    settings = Settings.from_environment()
    listener = bind("127.0.0.1", port)
    status_listener = bound(settings.server.status_host, settings.server.status_port, "STATUS_")
    roles = [worker_role(listener, TARGET, PRELOAD), status_role(status_listener, "ops.installation:Installation")]
    return await Supervisor(listener, roles, settings.cluster, prepare, lambda: None).run()


if __name__ == "__main__":
    open_journal()
    sys.exit(asyncio.run(main(int(sys.argv[1]))))
