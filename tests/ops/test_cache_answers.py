"""`rollcall cache inspect|invalidate|verify` of whole answers that all workers share."""

from typing import Any

import pytest

from cache.reading import decode_entry
from db.where import statement
from tests.kit.databases import Databases
from tests.kit.small_company import ADMIN, ANALYST, EMPLOYEE, HR, MANAGER
from tests.ops.commands import answered, rollcall_beside
from tests.responses.conftest import fresh_service, fresh_url
from tests.responses.questions import QUESTIONS
from tests.responses.service import Service, entry_names, redis, status
from web.answer_entries import shared_answer

__all__ = ["fresh_service", "fresh_url"]

PEOPLE = "{ employees(first: 2) { totalCount nodes { fullName } } }"
USERS = (HR, MANAGER, EMPLOYEE, ANALYST, ADMIN)


@pytest.fixture
def given(databases: Databases, fresh_url: str, fresh_service: Service) -> dict[str, Any]:
    """The variables of a service that runs."""
    prefix = fresh_service.prefix
    redis = {"REDIS_URL": databases.redis_url, "CACHE_PREFIX": prefix, "REDIS_TIMEOUT_MS": 5000}
    return {"DATABASE_URL": fresh_url, **redis}


async def test_an_answer_is_shown_with_its_facts_tags_and_why_it_is_not_served(
    fresh_service: Service, given: dict[str, Any]
) -> None:
    answer = await fresh_service.ask(PEOPLE, HR)
    await fresh_service.settle()
    [name] = await entry_names(fresh_service, "answer")
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    assert (found["usable"], found["why"], found["kind"]) == (True, [], "whole answer")
    assert (found["value"], found["etag"]) == (answer.json, answer.headers["etag"])
    assert found["viewerFacts"]["identified"]["everyone"] is True and list(found["viewerFacts"])[1] == "pseudonymous"
    assert (found["query"], found["operationName"], found["variables"]) == (PEOPLE, None, {})
    assert list(found["tags"]) == list(fresh_service.responses.rests_on(*kept(fresh_service), None))
    assert 500 < found["life_s"] <= 660
    assert "whole answer" in (await rollcall_beside("cache", "inspect", name, **given)).stdout
    result = answered(await rollcall_beside("cache", "invalidate", "employee", "--json", **given))
    assert (result["restamped"], result["unchanged"]) == (1, [])
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    assert (found["usable"], found["why"]) == (False, ["employee has changed since"])


async def test_answers_are_counted_where_they_rest_on_a_tag(fresh_service: Service, given: dict[str, Any]) -> None:
    dry = ["invalidate", "location", "--dry-run", "--json"]
    await fresh_service.ask("{ locations { name } }", HR)
    await fresh_service.settle()
    found = answered(await rollcall_beside("cache", *dry, **given))
    assert found["entries"] == 2  # the list and the answer


async def test_a_hint_is_shown_with_the_facts_that_it_names(fresh_service: Service, given: dict[str, Any]) -> None:
    await fresh_service.ask(PEOPLE, HR)
    await fresh_service.settle()
    [name] = await entry_names(fresh_service, "hint")
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    entry = name.removeprefix(fresh_service.resources.cache.entry_prefix)
    assert found == {"entry": entry, "kind": "hint", "viewerFacts": [["identified", "pseudonymous"]]}
    await redis(fresh_service).ask("SET", name, b"\xc1")
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    assert found["viewerFacts"] == "it does not decode: it counts as none"


async def verify(given: dict[str, Any], *arguments: str) -> tuple[int, Any]:
    """What `rollcall cache verify` says, and how it ends."""
    result = await rollcall_beside("cache", "verify", "--json", *arguments, **given)
    return result.exit_code, answered(result)


async def test_every_answer_is_made_again_for_whoever_has_the_facts_that_it_is_right_for(
    fresh_service: Service, given: dict[str, Any]
) -> None:
    """Of all kinds of viewers, and in both forms."""
    for accept, users in (("application/graphql-response+json", USERS), ("application/json", USERS[-1:])):
        for user in users:
            for query in QUESTIONS.values():
                await fresh_service.ask(query, user, headers={"Accept": accept})
    await fresh_service.settle()
    answers, hints = await entry_names(fresh_service, "answer"), await entry_names(fresh_service, "hint")
    server = redis(fresh_service)
    await server.delete(sorted(set(await entry_names(fresh_service)) - {*answers, *hints}))
    stored = (await server.mget(answers)).value
    timeless = sum(shared_answer(decode_entry(entry)[2]).valid_until is None for entry in stored)
    verdicts = {"same": timeless, "unusable": len(answers) - timeless, "hints": len(hints)}
    code, found = await verify(given)
    assert (code, found["verdicts"], found["loaders"]) == (0, verdicts, {"whole answers": len(answers)})
    assert timeless > 50


async def test_an_answer_that_is_not_what_it_should_be_is_found_and_gone(
    fresh_service: Service, given: dict[str, Any]
) -> None:
    query, server = "query($n: Int) { employees(first: $n) { nodes { email } } }", redis(fresh_service)
    right = await fresh_service.ask(query, MANAGER, {"n": 3})
    await fresh_service.settle()
    [name] = await entry_names(fresh_service, "answer")
    entry = (await server.mget([name])).value[0]
    await server.ask("SET", name, entry.replace(b'"nodes":', b'"pages":'), "PX", 60_000)
    bare = name.removeprefix(fresh_service.resources.cache.entry_prefix)
    code, found = await verify(given, "--dry-run")
    assert (code, found["stale"], found["verdicts"]["different"]) == (1, [bare], 1)
    code, found = await verify(given)
    assert (code, found["stale"], found["verdicts"]["different"]) == (1, [bare], 1)
    assert await entry_names(fresh_service, "answer") == []
    again = await fresh_service.ask(query, MANAGER, {"n": 3})
    assert (status(again), again.body) == ("fwd=stale; stored", right.body)


async def test_an_answer_that_cannot_be_made_again_is_said_to_be_none(
    fresh_service: Service, given: dict[str, Any]
) -> None:
    """Not one that differs: nothing is known of it."""
    await fresh_service.ask("{ shifts { name } }", HR)
    await fresh_service.settle()
    async with fresh_service.resources.database.transaction() as connection:
        await connection.execute(statement("away", "ALTER TABLE shift RENAME COLUMN name TO called"))
    [name] = await entry_names(fresh_service, "answer")
    await redis(fresh_service).delete(sorted(set(await entry_names(fresh_service)) - {name}))
    code, found = await verify(given)
    assert (code, found["verdicts"], found["stale"]) == (0, {"failed": 1}, [])


def kept(service: Service) -> Any:
    """The one answer that the service has kept."""
    return list(service.responses._answers.values())
