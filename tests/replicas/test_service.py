"""The service while its primary is away: queries are answered, mutations refused with the time to come again."""

from collections.abc import AsyncIterator

import pytest

from db.migrate import upgrade
from tests.coherence.valkey import Valkey
from tests.kit.clock import Clock
from tests.kit.small_company import ADMIN, HR, NOW, fill_small_company
from tests.replicas.pair import Pair
from tests.replicas.test_tokens import HEADER, QUESTION, SAVE, save, until_known
from tests.responses.service import Service, open_service


@pytest.fixture
async def service(pair: Pair, valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service with a replica beside its primary."""
    await pair.ask(pair.primary.port, 'CREATE DATABASE "company" OWNER app')
    url = pair.url_of(pair.primary, "company")
    await upgrade(url)
    await fill_small_company(url)
    monkeypatch.setenv("DATABASE_REPLICA_URL", pair.url_of(pair.replica, "company"))
    async with open_service(url, f"unix://{valkey.path}", Clock(NOW)) as found:
        await until_known(found)
        yield found


async def test_without_a_primary_queries_are_answered_and_mutations_refused(pair: Pair, service: Service) -> None:
    token = await save(service, "NEW", "Newest")
    await service.token(HR)  # the kit asks the primary for what is in it
    await pair.caught_up()
    await pair.kill(pair.primary)
    for _ in range(3):
        reply = await service.ask(QUESTION, HR)
        assert reply.status == 200 and b"Newest" in reply.body
        assert b"Newest" in (await service.ask(QUESTION, HR, headers={HEADER: token})).body
        reply = await service.ask(SAVE, ADMIN, {"input": {"code": "MORE", "name": "More"}})
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "SERVICE_UNAVAILABLE", "1")
    await service.resources.database.ping()
    await pair.heal()
    await until_known(service)
    await save(service, "MORE", "More")
