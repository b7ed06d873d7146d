"""`rollcall cache inspect|invalidate|verify` of whole answers that all workers share."""

from typing import Any

import pytest

from tests.kit.databases import Databases
from tests.kit.small_company import HR
from tests.ops.commands import answered, rollcall_beside
from tests.responses.conftest import fresh_service, fresh_url
from tests.responses.service import Service

__all__ = ["fresh_service", "fresh_url"]

PEOPLE = "{ employees(first: 2) { totalCount nodes { fullName } } }"


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
    server = fresh_service.resources.cache.server
    assert server is not None
    names = (await server.ask("KEYS", f"{fresh_service.prefix}:e:answer@*")).value
    name = names[0].decode()
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    assert (len(names), found["usable"], found["why"], found["kind"]) == (1, True, [], "whole answer")
    assert (found["value"], found["etag"]) == (answer.json, answer.headers["etag"])
    assert found["viewerFacts"]["identified"]["everyone"] is True and list(found["viewerFacts"])[1] == "pseudonymous"
    assert list(found["tags"]) == list(fresh_service.responses.rests_on(*kept(fresh_service), None))
    assert 500 < found["life_s"] <= 660
    assert "whole answer" in (await rollcall_beside("cache", "inspect", name, **given)).stdout
    result = answered(await rollcall_beside("cache", "invalidate", "employee", "--json", **given))
    assert (result["restamped"], result["unchanged"]) == (1, [])
    found = answered(await rollcall_beside("cache", "inspect", name, "--json", **given))
    assert (found["usable"], found["why"]) == (False, ["employee has changed since"])


async def test_answers_are_counted_where_they_rest_on_a_tag_and_left_out_of_the_comparison(
    fresh_service: Service, given: dict[str, Any]
) -> None:
    dry = ["invalidate", "location", "--dry-run", "--json"]
    await fresh_service.ask("{ locations { name } }", HR)
    await fresh_service.settle()
    found = answered(await rollcall_beside("cache", *dry, **given))
    assert found["entries"] == 2  # the list and the answer
    verdicts = answered(await rollcall_beside("cache", "verify", "--json", **given))["verdicts"]
    assert verdicts["whole answers (not compared)"] == verdicts["hints"] == 1
    assert set(verdicts) == {"whole answers (not compared)", "hints", "same"}


def kept(service: Service) -> Any:
    """The one answer that the service has kept."""
    return list(service.responses._answers.values())
