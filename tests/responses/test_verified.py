"""Whole answers that are sent from memory are made again now and then: a stale one sets the alarm off and is gone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from db.where import statement
from telemetry.counters import counters
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.small_company import ADMIN, ANALYST, AUDITOR, EMPLOYEE, HR, MANAGER, NOW
from tests.responses.questions import QUESTIONS
from tests.responses.service import Service, open_service, status

NAMES = "{ departments { name } }"
RENAME = statement("rename", "UPDATE department SET name = 'planted' WHERE code = 'ENG'")
DEMOTE = statement("demote", "DELETE FROM role_grant WHERE user_id = (SELECT id FROM app_user WHERE email = :email)")
CANCEL_WAITING = statement(
    "cancel", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'shift'"
)
FORGET = statement("forget", "DELETE FROM cache_outbox WHERE xid = pg_current_xact_id()")


@pytest.fixture
async def verified(databases: Databases, fresh_url: str) -> AsyncIterator[Service]:
    """A service that verifies every answer that it sends from memory."""
    async with open_service(fresh_url, databases.redis_url, Clock(NOW)) as found:
        found.resources.shadow.share = 1.0
        counters.clear()
        yield found


def verdicts() -> dict[str, int]:
    """What was found so far in this process, skipped lookups aside."""
    found = {label: number for (name, label), number in counters.items() if name == "cache_verified"}
    return {label: number for label, number in found.items() if label != "skipped"}


async def hit(service: Service, query: str, user: str) -> None:
    """Send an answer from memory, and wait for its verification."""
    await service.ask(query, user)
    await service.settle()
    await service.resources.shadow.settle()
    counters.clear()
    answer = await service.ask(query, user)
    assert status(answer) == "hit", query
    await service.resources.shadow.settle()


async def test_every_answer_that_is_kept_is_right(verified: Service) -> None:
    for user in (ADMIN, HR, MANAGER, EMPLOYEE, ANALYST):
        for name, query in QUESTIONS.items():
            first = await verified.ask(query, user)
            await verified.resources.shadow.settle()
            if "stored" in status(first) or status(first) == "hit":
                await hit(verified, query, user)
                assert verdicts() == {"same": 1}, (name, user)


async def test_an_answer_that_says_when_it_was_made_is_compared_as_of_then(verified: Service) -> None:
    query = "{ stats(filter: { period: { relative: LAST_30_DAYS } }) { asOf } }"
    await verified.ask(query, HR)
    verified.clock.forward(seconds=7)
    await hit(verified, query, HR)
    assert verdicts() == {"same": 1}


async def test_a_planted_stale_answer_sets_off_the_alarm_and_is_gone(verified: Service) -> None:
    await hit(verified, NAMES, AUDITOR)
    async with verified.resources.database.transaction() as connection:
        assert await connection.execute(RENAME) == 1
        assert await connection.execute(FORGET) > 0
    with structlog.testing.capture_logs() as logs:
        old = await verified.ask(NAMES, AUDITOR)
        await verified.resources.shadow.settle()
    assert status(old) == "hit" and "planted" not in old.body.decode()
    assert verdicts() == {"same": 1, "different": 1} and counters["cache_stale", "answer"] == 1
    assert [entry["kind"] for entry in logs if entry["event"] == "the cache served something stale"] == ["answer"]
    new = await verified.ask(NAMES, AUDITOR)
    assert status(new) == "fwd=stale; stored" and "planted" in new.body.decode()


async def test_stale_rights_set_off_the_alarm_as_well(verified: Service) -> None:
    await hit(verified, QUESTIONS["people"], AUDITOR)
    async with verified.resources.database.transaction() as connection:
        assert await connection.execute(DEMOTE, email=AUDITOR) > 0
        assert await connection.execute(FORGET) > 0
    assert status(await verified.ask(QUESTIONS["people"], AUDITOR)) == "hit"
    await verified.resources.shadow.settle()
    assert counters["cache_stale", "answer"] == 1
    assert status(await verified.ask(QUESTIONS["people"], AUDITOR)) != "hit"


async def test_an_answer_that_cannot_be_made_again_sets_off_nothing(verified: Service) -> None:
    """Neither when PostgreSQL cancels the statement nor when we fail: an error is no other answer."""
    query = "{ shifts { name } }"
    await hit(verified, query, AUDITOR)
    async with verified.resources.database.transaction() as connection:
        await connection.execute(statement("lock", "LOCK TABLE shift IN ACCESS EXCLUSIVE MODE"))
        assert status(await verified.ask(query, AUDITOR)) == "hit"
        async with asyncio.timeout(20), verified.resources.database.read() as other:
            while await other.records(CANCEL_WAITING) != [(True,)]:
                pass
        await verified.resources.shadow.settle()
        await connection.execute(statement("away", "ALTER TABLE shift RENAME TO shift_away"))
    assert verdicts() == {"same": 1, "failed": 1}
    with structlog.testing.capture_logs() as logs:
        assert status(await verified.ask(query, AUDITOR)) == "hit"
        await verified.resources.shadow.settle()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["resolver failed"]
    assert verdicts() == {"same": 1, "failed": 2} and counters["cache_stale", "answer"] == 0
    assert status(await verified.ask(query, AUDITOR)) == "hit"


async def test_writes_all_the_while_set_off_nothing(verified: Service) -> None:
    done = False

    async def write() -> None:
        nonlocal done
        for number in range(20):
            async with verified.rows() as rows:
                await rows.connection.execute(
                    statement("name", "UPDATE department SET name = :name WHERE code = 'ENG'"), name=f"n{number}"
                )
        done = True

    async def ask() -> None:
        while not done:
            await verified.ask(NAMES, AUDITOR)
            await asyncio.sleep(0)

    await asyncio.gather(write(), ask(), ask())
    for _ in range(2):  # the second time from what is kept, however fast the writes were
        await verified.ask(NAMES, AUDITOR)
    await verified.resources.shadow.settle()
    assert "different" not in verdicts() and "failed" not in verdicts()
    assert sum(verdicts().values()) > 0
