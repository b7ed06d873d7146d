"""Records the plans of slow statements off the path of requests: one at a time, and each once a minute at most."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

import structlog

from db.database import Database
from db.explain import EXPLAINABLE, READING, NoPlan, first_word, plan_of, without_values
from db.slow_plans import OWN, keep
from db.statement_log import Sent
from domain.errors import RollcallError, Unavailable
from telemetry.counters import count

PAUSE: Final = timedelta(minutes=1)
MOST_KNOWN: Final = 500
LONGEST: Final = timedelta(seconds=10)

log = structlog.get_logger("rollcall.sql")


class Explainer:
    """That of a worker. Lookups are executed again to see what really happens; of all else PostgreSQL only says what it
    would do, since a statement may take locks or write.
    """

    def __init__(self, database: Database, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock_s = clock_s
        self._waiting: asyncio.Queue[Sent] = asyncio.Queue(maxsize=1)
        self._taken_s: dict[str, float] = {}

    def consider(self, sent: Sent) -> None:
        """Take a slow statement, unless another one waits or this one had its turn a moment ago."""
        if sent.name in OWN or first_word(sent.sql) not in EXPLAINABLE:
            return
        now_s = self._clock_s()
        taken_s = self._taken_s.get(sent.sql)
        if self._waiting.full() or (taken_s is not None and now_s < taken_s + PAUSE.total_seconds()):
            return
        self._taken_s.pop(sent.sql, None)
        self._taken_s[sent.sql] = now_s
        if len(self._taken_s) > MOST_KNOWN:
            del self._taken_s[next(iter(self._taken_s))]
        self._waiting.put_nowait(sent)

    async def explain_for_ever(self) -> None:
        """Explain what was taken; what cannot be explained is counted and forgotten."""
        while True:
            sent = await self._waiting.get()
            if self._database.busy:
                count("slow_plans", "busy")
                continue
            try:
                await self.explain(sent)
            except RollcallError as error:
                count("slow_plans", "failed")
                log.warning("no plan of a slow statement", name=sent.name, reason=error.message)
            except Exception as error:  # a statement that nobody foresaw must not end the explaining of others
                count("slow_plans", "failed")
                log.error("no plan of a slow statement", name=sent.name, exc_info=error)

    async def explain(self, sent: Sent) -> None:
        """Record the plan of one statement."""
        analyze = bool(sent.loader) and not sent.failed and first_word(sent.sql) in READING
        plan = await self._plan(sent) if analyze else None
        if plan is None:
            analyze = False
            async with self._database.snapshot() as connection:
                plan = await plan_of(connection, sent.sql, sent.arguments, analyze=False)
        ms = round(sent.seconds * 1e3, 1)
        facts = {"statement": sent.name, "operation": sent.operation, "loader": sent.loader, "ms": ms}
        async with self._database.transaction() as connection:
            await keep(connection, sent.sql, without_values(plan), analyzed=analyze, **facts)
        count("slow_plans", "kept")

    async def _plan(self, sent: Sent) -> Mapping[str, Any] | None:
        """With what really happens; None when that takes too long this time."""
        limit = min(timedelta(seconds=2 * sent.seconds + 1), LONGEST)
        try:
            async with self._database.snapshot() as connection:
                return await plan_of(connection, sent.sql, sent.arguments, analyze=True, limit=limit)
        except (Unavailable, NoPlan):
            return None
