"""What a client wrote through one node it reads through any other: the token that it brings back sees to that."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from domain.consistency import Mark, Position, mark_of, token_of
from loaders.drain import drain_once
from tests.coherence.valkey import private_valkey
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.small_company import ADMIN, EMPLOYEE, HR, NOW
from tests.responses.conftest import fresh_url
from tests.responses.service import Service, open_service, status

__all__ = ["fresh_url"]

HEADER = "X-Rollcall-Consistency"
QUESTION = "{ departments { name } }"
IDS = "{ departments { id name } }"
EXPLAIN = {"X-Rollcall-Cache": "explain"}
SAVE = "mutation($input: DepartmentInput!) { saveDepartment(input: $input) { userErrors { message } } }"
HERE = Position("7.1.2.5.9", 1, 1000)


def test_a_token_says_what_it_was_made_of() -> None:
    mark = mark_of(token_of(HERE))
    assert mark == Mark(HERE.installation, 1, 1000)
    assert mark.is_reached_by(HERE) and mark.is_reached_by(Position("7.3.3.5.9", 1, 1001))
    assert not mark.is_reached_by(Position(HERE.server, 1, 999))


def test_a_promoted_server_goes_on_where_the_one_before_ended() -> None:
    mark = mark_of(token_of(HERE))
    assert mark.is_reached_by(Position("7.2.3.5.9", 2, 900))
    assert not mark_of(token_of(Position(HERE.server, 2, 900))).is_reached_by(HERE)


def test_another_database_reaches_nothing() -> None:
    assert not mark_of(token_of(HERE)).is_reached_by(Position("8.1.2.5.9", 1, 2000))
    assert not mark_of(token_of(HERE)).is_reached_by(Position("7.1.2.6.9", 1, 2000))


@pytest.mark.parametrize(
    "token", ["", "x", "!", "é", token_of(HERE)[:-1], token_of(HERE) + "A", token_of(HERE)[:-2] + "__", "A" * 201]
)
def test_what_was_changed_on_its_way_is_no_token(token: str) -> None:
    with pytest.raises(ValueError):
        mark_of(token)


@pytest.fixture
async def service(databases: Databases, fresh_url: str) -> AsyncIterator[Service]:
    async with open_service(fresh_url, databases.redis_url, Clock(NOW)) as found:
        yield found


async def save(service: Service, code: str, name: str) -> str:
    """Make a department; returns the token."""
    reply = await service.ask(SAVE, ADMIN, {"input": {"code": code, "name": name}})
    assert reply.json["data"]["saveDepartment"]["userErrors"] == []
    assert reply.json["extensions"]["consistency"] == reply.headers[HEADER.lower()]
    return reply.headers[HEADER.lower()]


async def names(service: Service, token: str) -> str:
    """The names of the departments, asked with a token."""
    return (await service.ask(QUESTION, HR, headers={HEADER: token})).body.decode()


async def test_an_answer_to_a_mutation_carries_a_token_and_one_to_a_query_does_not(service: Service) -> None:
    first, second = mark_of(await save(service, "NEW", "New")), mark_of(await save(service, "NEW2", "New 2"))
    assert second.installation == first.installation and second.lsn > first.lsn
    assert HEADER.lower() not in (await service.ask(QUESTION, HR)).headers


async def test_a_mutation_that_changes_nothing_has_nothing_to_bring_back(service: Service) -> None:
    reply = await service.ask(SAVE, ADMIN, {"input": {"code": "", "name": "x"}})
    assert reply.json["data"]["saveDepartment"]["userErrors"] != []
    assert HEADER.lower() not in reply.headers and "extensions" not in reply.json


async def test_a_retry_gets_a_token_that_covers_the_first_attempt(service: Service) -> None:
    check = 'mutation { checkIn(input: { clientEventId: "k" }) { punch { id } userErrors { message } } }'
    replies = [await service.ask(check, EMPLOYEE) for _ in range(2)]
    first, again = (mark_of(reply.headers[HEADER.lower()]) for reply in replies)
    assert replies[0].json["data"] == replies[1].json["data"] and replies[0].json["data"]["checkIn"]["punch"]
    assert again.lsn >= first.lsn


async def test_a_token_that_the_cache_knows_is_answered_from_the_cache(service: Service) -> None:
    token = await save(service, "NEW", "New")
    await until_known(service)
    assert "New" in await names(service, token)
    reply = await service.ask(QUESTION, HR, headers={HEADER: token})
    assert status(reply) == "hit"
    body = {"query": QUESTION, "extensions": {"consistency": token}}
    lines = {"Authorization": f"Bearer {await service.token(HR)}"}
    assert status(await service.client.post(body, headers=lines)) == "hit"


async def test_a_mutation_that_found_nothing_to_change_takes_nobody_past_the_cache(service: Service) -> None:
    """Its token is below what the stamps know, although it touched none of them."""
    await save(service, "NEW", "New")
    await until_known(service)
    [found] = [one for one in (await service.ask(IDS, HR)).json["data"]["departments"] if one["name"] == "New"]
    same = await service.ask(SAVE, ADMIN, {"input": {"id": found["id"], "name": "New"}}, headers=EXPLAIN)
    assert same.json["extensions"]["cache"] == {"tagCount": 0, "invalidates": []}
    reply = await service.ask(IDS, HR, headers={HEADER: same.headers[HEADER.lower()]})
    assert status(reply) == "hit"


async def test_a_kept_answer_that_is_older_than_the_token_is_not_sent(service: Service) -> None:
    """As if the cache had not heard of a commit: only the token tells."""
    await until_known(service)
    await service.ask(QUESTION, HR)
    assert status(await service.ask(QUESTION, HR)) == "hit"
    newest = await service.resources.cache.newest()
    assert newest is not None
    ahead = token_of(Position(newest.server, newest.timeline, newest.lsn + 1_000_000))
    for token in (ahead, token_of(Position(newest.server, newest.timeline + 1, 0)), token_of(HERE)):
        reply = await service.ask(QUESTION, HR, headers={HEADER: token})
        assert (reply.status, status(reply)) == (200, "fwd=bypass; detail=consistency") and "etag" not in reply.headers
    assert status(await service.ask(QUESTION, HR)) == "hit"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_token_that_we_did_not_give_out_is_refused(service: Service, method: str) -> None:
    reply = await service.ask(QUESTION, HR, method=method, headers={HEADER: "nonsense"})
    assert (reply.status, reply.code) == (400, "BAD_USER_INPUT")
    assert reply.message == f"{HEADER}: needed the token of an answer to a mutation as it came, got 'nonsense'"


async def test_a_bad_token_among_the_extensions_is_named(service: Service) -> None:
    reply = await service.client.post({"query": QUESTION, "extensions": {"consistency": "nonsense"}})
    assert (reply.status, reply.code) == (400, "BAD_USER_INPUT")
    assert reply.message.startswith("extensions.consistency: needed the token of an answer to a mutation")
    reply = await service.client.post({"query": QUESTION, "extensions": {"consistency": 7}})
    assert reply.message == "extensions.consistency: needed a string, got a number"


async def test_two_nodes_with_a_redis_each_never_tell_less_than_the_token(fresh_url: str, tmp_path: Path) -> None:
    """Each write through one is read at once through the other, while both drain and cache."""
    with private_valkey() as east_redis, private_valkey() as west_redis:
        async with (
            open_service(fresh_url, f"unix://{east_redis.path}", Clock(NOW), prefix="x") as east,
            open_service(fresh_url, f"unix://{west_redis.path}", Clock(NOW), prefix="x", drains=False) as west,
        ):
            await until_known(east)
            for number, (writer, reader) in enumerate([(east, west), (west, east), (east, west)]):
                await names(reader, token_of(HERE))
                token = await save(writer, f"D{number}", f"Department {number}")
                assert f"Department {number}" in await names(reader, token)
                assert f"Department {number}" in await names(writer, token)
                await drain_once(west.resources.database, west.resources.cache)


async def until_known(service: Service) -> None:
    """Wait until the newest position is known for certain."""
    async with asyncio.timeout(20):
        while await service.resources.cache.newest() is None:
            await asyncio.sleep(0.05)
