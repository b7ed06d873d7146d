"""What docs/explain/coherence.md and response-cache.md say of the cache and no other test shows."""

import asyncio
import re
from datetime import timedelta

import pytest

from cache import filling
from db.embedded.lease import CHECKOUT
from db.where import statement
from domain.ids import EmployeeId
from loaders import sharing
from loaders.batch import Loaders
from loaders.employees import employee_by_id
from tests.coherence.test_stampede import Counting, asking
from tests.coherence.valkey import Valkey
from tests.coherence.worker import Worker

PAGES = CHECKOUT / "docs" / "explain"
UNNOTICED = statement("unnoticed", "UPDATE employee SET full_name = 'unnoticed' WHERE id = 1 RETURNING id")
FORGOTTEN = statement("forgotten", "DELETE FROM cache_outbox WHERE xid = pg_current_xact_id() RETURNING xid")


def source(*packages: str) -> str:
    """The code of packages."""
    return "".join(path.read_text() for package in packages for path in (CHECKOUT / package).glob("*.py"))


async def test_what_nobody_could_notice_ends_with_the_next_epoch(worker: Worker) -> None:
    """Here as after disabled triggers: the outbox never heard of it."""
    await worker.name()
    async with worker.database.transaction() as connection:
        await connection.records(UNNOTICED)
        await connection.records(FORGOTTEN)
    assert await worker.drain() and await worker.name() == "name 1"
    await worker.psql("UPDATE cache_state SET run_id = ''")
    assert await worker.drain() and await worker.name() == "unnoticed"


async def drained(worker: Worker) -> None:
    """Keep the fence up."""
    while await worker.drain():
        await asyncio.sleep(0.25)


async def test_who_has_waited_for_an_entry_for_long_asks_the_database(
    worker: Worker, other: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert timedelta(seconds=5) == sharing.LONGEST_WAIT
    monkeypatch.setattr(sharing, "LONGEST_WAIT", timedelta(milliseconds=100))
    counting = Counting()
    counting.stops = ["fetch"]
    making = asking(worker, counting.batch, 1)
    await counting.order.until("fetch")
    assert await other.drain()  # without a fence nobody waits at all, and nothing is kept
    draining = asyncio.create_task(drained(other))
    async with asyncio.timeout(20):
        assert await asking(other, counting.batch, 1) == ["answer 2"] and not making.done()
    counting.order.go("fetch")
    assert await making == ["answer 1"]
    draining.cancel()
    await asyncio.wait({draining})
    await worker.cache.settle(), await other.cache.settle()


async def load(worker: Worker, *numbers: int) -> list[str]:
    """Employees, each by a request of its own, all in one tick; returns the names of their entries."""
    loaders = [Loaders(worker.database, worker.cache) for _ in numbers]
    await asyncio.gather(
        *(each.load(employee_by_id, EmployeeId(one)) for one, each in zip(numbers, loaders, strict=True))
    )
    prefix = worker.cache.entry_prefix
    return [f"{prefix}{employee_by_id.policy.entry_name(EmployeeId(one))}" for one in numbers]


async def test_what_was_loaded_leaves_together(worker: Worker, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look for three requests of one tick, and one step that stores what each of them has loaded."""
    await worker.name(9)
    monkeypatch.setattr(filling, "LONGEST_WAIT", timedelta(hours=1))
    asked = worker.redis.asked
    names = await load(worker, 1, 2, 3)
    with valkey.client as client:
        assert client.exists(*names) == 0
        await worker.cache.settle()
        assert client.exists(*names) == 3
    assert worker.redis.asked - asked == 2


async def test_what_was_loaded_leaves_by_itself(worker: Worker, valkey: Valkey) -> None:
    assert timedelta(milliseconds=20) == filling.LONGEST_WAIT
    names = await load(worker, 1, 2, 3)
    async with asyncio.timeout(20):
        with valkey.client as client:
            while client.exists(*names) < 3:
                await asyncio.sleep(0.001)


def test_each_reason_to_go_past_the_cache_is_on_the_page() -> None:
    page, counted = (PAGES / "coherence.md").read_text(), source("cache", "loaders")
    [listed] = re.findall(r"What goes past the cache is counted by reason .*?\n\n", page, re.S)
    told = set(re.findall(r"`(\w+)`", listed)) - {"rollcall_cache_bypasses_total"}
    reasons = set(re.findall(r'(?:"cache_bypasses", |_nothing\(keys, )"(\w+)"', counted))
    assert len(reasons) >= 7 and reasons <= told
    assert [word for word in told if f'"{word}"' not in counted] == []


def test_each_word_of_cache_status_is_on_the_page() -> None:
    page, said = (PAGES / "response-cache.md").read_text(), source("web")
    [line] = re.findall(r"^\| `Cache-Status` \|.*$", page, re.M)
    [reasons] = re.findall(r"def _reason_not_to.*?\n\n", said, re.S)
    details = set(re.findall(r'"(\w+)" if|return "(\w+)"', reasons))
    words = {word for pair in details for word in pair if word} | set(re.findall(r"fwd=bypass; detail=(\w+)", said))
    words -= {"other"}  # of applications that are not ours
    assert words == {"error", "unstamped", "live", "large", "consistency"}
    assert [word for word in words if word not in re.findall(r"`(?:fwd=bypass; detail=)?(\w+)`", line)] == []
