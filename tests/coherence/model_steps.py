"""What may happen in the model: the steps at which a reader, a writer or a drain may be stopped, and faults."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from cache.policy import Policy
from cache.server import SHA
from db import tags
from db.connection import ReadConnection
from db.employees import employees_by_id
from db.rows import EmployeeRow
from domain.ids import EmployeeId
from loaders.batch import Batch
from tests.coherence.torture_worker import LIST
from tests.coherence.worker import Worker
from tests.kit.proxy import Stop

LOOK, FILL, HOLD, RELEASE, RENEW = (SHA[name].encode() for name in ("look", "fill", "hold", "release", "renew"))
PENDING, SUSPEND, COVERED, COMMIT = b"cache_pending", b"cache_suspend", b"cache_covered", b"COMMIT"
LEAD, EMPTY, MOVE = b"FOR UPDATE SKIP LOCKED", b"DELETE FROM cache_outbox", b"gen_random_uuid"
END, ARRIVE = b"pg_try_advisory_xact_lock(7392)", b"pg_advisory_xact_lock(7391)"
READ_STEPS: Final = (None, LOOK, b"before the rows", b"after the rows", FILL)
WRITE_STEPS: Final = (None, b"written", PENDING, HOLD, SUSPEND, COVERED, b"waiting", COMMIT, RELEASE)
DRAIN_STEPS: Final = (None, LEAD, MOVE, END, ARRIVE, EMPTY, RENEW, COMMIT)
FAULTS: Final = (
    *(("partition", True),) * 3,
    *(("partition", False),) * 3,
    *(("evict", what) for what in ("", "f", "s", "e", "e:row", "e:listed", "e:listed")),
    *(("replicate", None), ("switch", 0), ("switch", 1), ("save", None), ("go_back", None)),
    *(("time", seconds) for seconds in (0.4, 1.0, 2.3, 4.1, 11.0)),
)


class Paused:
    """A task that stands at a step, and may be to stand at another one then."""

    def __init__(self, kind: str, worker: int, row: int, stop: Stop | None, then: bytes | None = None) -> None:
        self.kind, self.worker, self.row, self.stop, self.then = kind, worker, row, stop or Stop(b""), then
        self.idle_s = 0.0
        self.task: asyncio.Task[None]


def stop_at(worker: Worker, step: bytes | None) -> Stop | None:
    """A stop before a step of a worker: at what it sends to one of the servers, or else at a gate."""
    if step is None:
        return None
    if step in (LOOK, FILL, HOLD, RELEASE, RENEW):
        return worker.redis.stop_before(step)
    if step in (PENDING, SUSPEND, COVERED, COMMIT, LEAD, MOVE, END, ARRIVE, EMPTY):
        return worker.postgres.stop_before(step)
    return Stop(step)


async def gate(stop: Stop | None, name: bytes) -> None:
    if stop is not None and stop.marker == name:
        with suppress(ConnectionResetError):
            await stop.wait(0)


def row_stopping_at(stop: Stop | None) -> Batch[EmployeeId, EmployeeRow]:
    async def fetch(connection: ReadConnection, ids: Sequence[EmployeeId]) -> dict[EmployeeId, EmployeeRow]:
        await gate(stop, b"before the rows")
        found = await employees_by_id(connection, ids)
        await gate(stop, b"after the rows")
        return found

    return Batch(fetch, Policy("row", EmployeeRow, "employee", lambda key: (tags.EMPLOYEE(key),)))


def list_stopping_at(stop: Stop | None) -> Batch[int, tuple[tuple[int, int], ...]]:
    async def fetch(connection: ReadConnection, ids: Sequence[int]) -> dict[int, tuple[tuple[int, int], ...]]:
        await gate(stop, b"before the rows")
        found = [(row[0], row[1]) for department in (1, 2) for row in await connection.records(LIST, id=department)]
        await gate(stop, b"after the rows")
        return dict.fromkeys(ids, tuple(found))

    policy: Policy[int, tuple[tuple[int, int], ...]] = Policy(
        "listed", tuple[tuple[int, int], ...], "list", lambda _: (tags.EMPLOYEE_ANY(),)
    )
    return Batch(fetch, policy)
