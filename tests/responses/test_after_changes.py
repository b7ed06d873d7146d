"""After every kind of change the very next answer of everybody is right, and the one after it is kept again."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.engine import make_url

from cache.server import SHA
from tests.kit.databases import Databases
from tests.kit.proxy import Proxy, proxy_to
from tests.kit.sequencer import within
from tests.kit.small_company import (
    ADMIN,
    ANALYST,
    AUDITOR,
    EMPLOYEE,
    ENGINEERING,
    HR,
    MANAGER,
)
from tests.mutations.changing import department
from tests.responses.changes import CHANGES
from tests.responses.questions import QUESTIONS, comparable
from tests.responses.service import Service, open_service, status

USERS = (ADMIN, HR, MANAGER, ANALYST, AUDITOR, EMPLOYEE)
CHANGED_FOR = {
    "check_in": {"today", "today_days"},
    "mark": {"days", "stats", "by_manager", "grid"},
    "move": {"people", "backend"},
    "rename": {"by_number", "people", "days"},
    "regroup": {"departments", "backend", "department_figures"},
    "lead": {"departments"},
    "relocate": {"locations"},
    "holiday": {"locations", "stats", "grid"},
    "rule": {"shifts"},
    "paint": {"shifts"},
    "grant": {"people", "me", "days", "users"},
    "revoke": {"people", "team", "me"},
    "deactivate": {"me", "people", "users"},
    "sign_out": {"me", "people", "departments"},
    "import_leave": {"me", "today"},
    "narrow": {"people", "today"},
}
"""The questions to which somebody is answered otherwise after each change."""


@pytest.fixture
async def truth(fresh_service: Service, fresh_url: str) -> AsyncIterator[Service]:
    """The same company, asked without any cache."""
    async with open_service(fresh_url, None, fresh_service.clock) as found:
        yield found


async def answers(service: Service, names: set[str]) -> dict[tuple[str, str], tuple[int, bytes]]:
    """What everybody is answered."""
    return {(name, user): comparable(await service.ask(QUESTIONS[name], user)) for name in names for user in USERS}


@pytest.mark.parametrize("name", CHANGES)
async def test_the_next_answer_is_right_and_the_one_after_it_kept(
    fresh_service: Service, truth: Service, name: str
) -> None:
    service, names = fresh_service, CHANGED_FOR[name]
    before = await answers(service, names)
    assert await answers(truth, names) == before
    await CHANGES[name](service)
    after = await answers(service, names)
    assert await answers(truth, names) == after
    assert {question for (question, user), answer in after.items() if answer != before[question, user]} == names
    assert {status(await service.ask(QUESTIONS[question], HR)) for question in names - {"team", "users"}} == {"hit"}


# ---------------------------------------------------------------------------------------------------- while it happens

HOLD, RELEASE = SHA["hold"].encode(), SHA["release"].encode()


@pytest.fixture
async def stopped(
    databases: Databases, fresh_url: str, fresh_service: Service
) -> AsyncIterator[tuple[Service, Proxy, Proxy]]:
    """Another worker of the same installation, behind proxies before PostgreSQL and Valkey."""
    folder = make_url(fresh_url).query["host"]
    async with (
        proxy_to(f"{folder}/.s.PGSQL.5432") as postgres,
        proxy_to(databases.redis_url.removeprefix("unix://")) as redis,
    ):
        url = re.sub(r"\?host=.*", "", fresh_url).replace("@/", f"@127.0.0.1:{postgres.port}/")
        address, prefix = f"redis://127.0.0.1:{redis.port}", fresh_service.prefix
        async with open_service(url, address, fresh_service.clock, prefix=prefix, drains=False) as found:
            yield found, postgres, redis


@pytest.mark.parametrize(
    ("point", "seen"), [("hold", "old"), ("commit", "old"), ("release", "new")], ids=["before", "during", "after"]
)
async def test_answers_while_a_mutation_is_under_way(
    fresh_service: Service, truth: Service, stopped: tuple[Service, Proxy, Proxy], point: str, seen: str
) -> None:
    """Stopped before the hold, before COMMIT and before the release: what is true is what everybody is answered."""
    worker, postgres, redis = stopped
    question = "{ departments { name } }"
    old = await fresh_service.ask(question, HR)
    await worker.ask(question, HR)
    assert status(await worker.ask(question, HR)) == "hit"
    stop = (
        postgres.stop_before(b"COMMIT")
        if point == "commit"
        else redis.stop_before(HOLD if point == "hold" else RELEASE)
    )
    writing = asyncio.create_task(worker.change("saveDepartment", HR, id=department(ENGINEERING), name="Making"))
    await within(stop.reached.wait())
    for service in (fresh_service, worker, truth):
        for user in (HR, ADMIN):
            assert (b"Making" in (await service.ask(question, user)).body) == (seen == "new")
    stop.go_on()
    await within(writing)
    for service in (fresh_service, worker):
        answer = await service.ask(question, HR)
        assert b"Making" in answer.body and answer.headers["etag"] != old.headers["etag"]
        assert status(await service.ask(question, HR)) == "hit"


async def test_an_answer_that_is_half_read_before_a_mutation_is_never_sent_again(
    fresh_service: Service, truth: Service, stopped: tuple[Service, Proxy, Proxy]
) -> None:
    """Departments are read before, their managers after it: this mixture is for who asked meanwhile only."""
    worker, postgres, _ = stopped
    question = "{ departments { name manager { fullName } } }"
    await worker.ask("{ me { email } }", HR)
    stop = postgres.stop_before(b"FROM employee")
    reading = asyncio.create_task(worker.ask(question, HR))
    await within(stop.reached.wait())
    await fresh_service.change("saveDepartment", HR, id=department(ENGINEERING), name="Making")
    stop.go_on()
    mixed = await reading
    assert (b"Making" in mixed.body, status(mixed)) == (False, "fwd=miss; stored")
    again = await worker.ask(question, HR)
    assert (comparable(again), status(again)) == (comparable(await truth.ask(question, HR)), "fwd=stale; stored")
    assert status(await worker.ask(question, HR)) == "hit"
