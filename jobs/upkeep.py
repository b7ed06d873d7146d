"""Upkeep: what time alone changes, done by one worker at a time: settles and begins days, applies postings.

It writes through the unit of work like every mutation, so the cache hears of it the same way.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from cache.second_level import SecondLevelCache
from db import coherence, upkeep
from db.database import Database
from db.days import derive_days
from db.upkeep import DueRow
from domain.errors import Unavailable
from domain.ids import EmployeeId
from loaders.unit_of_work import unit_of_work
from telemetry.clock import utc_now
from telemetry.counters import count

PAUSE: Final = timedelta(seconds=20)
MOST_EMPLOYEES: Final = 500
MONTHS_AHEAD: Final = timedelta(days=93)
IDEMPOTENCY_LIFE: Final = timedelta(days=7)
log = structlog.get_logger("rollcall.upkeep")


async def upkeep_once(database: Database, cache: SecondLevelCache, now: datetime) -> int:
    """Do what is due in one transaction; returns how many days changed, at most those of MOST_EMPLOYEES."""
    async with unit_of_work(database, cache) as unit:
        connection = unit.connection
        if not await upkeep.lead(connection):
            return 0
        await upkeep.make_partitions(connection, now.date(), (now + MONTHS_AHEAD).date())
        await upkeep.apply_postings(connection, now)
        await upkeep.let_go(connection, now)
        await upkeep.forget_idempotency_keys(connection, now - IDEMPOTENCY_LIFE)
        due = await upkeep.due(connection, now, MOST_EMPLOYEES)
        rows = due or await upkeep.unbegun(connection, now, MOST_EMPLOYEES)
        changed = 0
        for (first, last), ids in _by_dates(rows).items():
            changed += len((await derive_days(connection, ids, first, last, now)).changes)
    count("upkeep_days", "", changed)
    return changed


def _by_dates(rows: Sequence[DueRow]) -> dict[tuple[date, date], list[EmployeeId]]:
    found = defaultdict(list)
    for row in rows:
        found[row.first, row.last].append(row.employee_id)
    return found


async def empty_outbox(database: Database) -> None:
    """Forget which changes nobody will be told of, since nobody caches, or they would become more and more."""
    async with database.transaction() as connection:
        await coherence.forget_unused(connection)


async def upkeep_for_ever(database: Database, cache: SecondLevelCache, clock: Callable[[], datetime] = utc_now) -> None:
    """Keep up until cancelled; faults are waited out."""
    while True:
        try:
            while await upkeep_once(database, cache, clock()):
                pass
            await empty_outbox(database)
        except Unavailable as error:
            count("upkeep_failures", type(error).__name__)
        except Exception:
            count("upkeep_failures", "bug")
            log.exception("the upkeep failed")
        await asyncio.sleep(PAUSE.total_seconds())
