"""One process of the torture: reads rows and lists, writes, drains, and keeps a journal. It may be killed."""

import asyncio
import os
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import text

from cache.policy import Policy
from cache.second_level import SecondLevelCache
from cache.server import Server
from db import tags
from db.connection import Query, ReadConnection
from db.database import Database, PoolLimits
from domain.errors import RollcallError
from domain.ids import EmployeeId
from loaders.batch import Batch, Loaders
from loaders.drain import drain_for_ever
from loaders.employees import employee_by_id
from loaders.unit_of_work import unit_of_work
from telemetry.counters import counters
from tests.coherence.history import Journal
from tests.coherence.weakened import weaken

ROWS, READERS = 20, 4
OURS = 16
"""The rows that writers of ours write as well: on the others nothing hides what the drain does."""
WRITE = Query(
    "torture_write", text("UPDATE employee SET version = version + 1 WHERE id = CAST(:id AS bigint) RETURNING version")
)
LIST = Query(
    "torture_list",
    text("SELECT id, version FROM employee WHERE department_id = CAST(:id AS int) ORDER BY id"),
)


async def _list(connection: ReadConnection, ids: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
    return {id_: tuple((row[0], row[1]) for row in await connection.records(LIST, id=id_)) for id_ in ids}


list_of_department = Batch(
    _list, Policy("torture_list", tuple[tuple[int, int], ...], "list", lambda _: (tags.EMPLOYEE_ANY(),)), absent=()
)


class Tasks:
    """The tasks of one process."""

    def __init__(self, journal: Journal, database: Database, cache: SecondLevelCache, seed: int) -> None:
        self.journal, self.database, self.cache = journal, database, cache
        self.random = random.Random(seed)

    def row(self, rows: int = ROWS) -> int:
        """Hot rows are asked for more often."""
        return 1 + int(rows * self.random.random() ** 3)

    async def read(self) -> None:
        """Rows and lists, as requests of their own."""
        while True:
            loaders, begun_ns = Loaders(self.database, self.cache), time.monotonic_ns()
            with suppress(RollcallError):
                if self.random.random() < 0.7:
                    ids = {EmployeeId(self.row()) for _ in range(3)}
                    found = await loaders.load_many(employee_by_id, ids)
                    versions = [(row.id, row.version) for row in found if row]
                    self.journal.read("row", versions, begun_ns, time.monotonic_ns())
                else:
                    listed = await loaders.load(list_of_department, self.random.randint(1, 2))
                    self.journal.read("list", listed or (), begun_ns, time.monotonic_ns())
            await asyncio.sleep(self.random.random() * 0.02)

    async def write(self) -> None:
        """Through the unit of work."""
        while True:
            await asyncio.sleep(self.random.random() * 0.1)
            row = self.row(OURS)
            self.journal.begin(row, time.monotonic_ns())
            with suppress(RollcallError):
                async with unit_of_work(self.database, self.cache) as unit:
                    [(version,)] = await unit.connection.records(WRITE, id=row)
                self.journal.acknowledged(row, version, time.monotonic_ns())

    async def write_outside(self) -> None:
        """As psql does."""
        while True:
            await asyncio.sleep(self.random.random() * 0.5)
            row = self.row() if self.random.random() < 0.5 else self.random.randint(OURS + 1, ROWS)
            self.journal.begin(row, time.monotonic_ns())
            with suppress(RollcallError):
                async with self.database.transaction() as connection:
                    [(version,)] = await connection.records(WRITE, id=row)
                    self.journal.outside(row, version)
                self.journal.acknowledged(row, version, time.monotonic_ns())

    async def tell(self, path: Path) -> None:
        """What the cache did, for the test to see that it was used at all."""
        while True:
            await asyncio.sleep(0.2)
            found = {f"{name} {label}": number for (name, label), number in counters.items()}
            path.write_text("\n".join(f"{number} {name}" for name, number in found.items()))


async def torture(journal: Path, database_url: str, redis_url: str, seed: int, removed: str) -> None:
    """Go on until killed, without the safeguard `removed`."""
    weaken(removed)
    database = Database(database_url, PoolLimits(size=6))
    cache = SecondLevelCache(Server(redis_url), "torture")
    tasks = Tasks(Journal(journal), database, cache, seed)
    async with asyncio.TaskGroup() as group:
        group.create_task(drain_for_ever(database, cache))
        group.create_task(tasks.tell(journal.with_suffix(".counters")))
        for _ in range(READERS):
            group.create_task(tasks.read())
        for work in (tasks.write(), tasks.write(), tasks.write_outside()):
            group.create_task(work)


def run(errors: Path, *arguments: Any) -> None:
    """The process; what it complains of goes to the file `errors`."""
    with errors.open("a") as file:
        os.dup2(file.fileno(), 2)
        os.dup2(file.fileno(), 1)
    asyncio.run(torture(*arguments))
