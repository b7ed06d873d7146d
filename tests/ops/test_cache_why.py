"""`rollcall cache why`: kept or not, and why, with tags, stamps and ages."""

from pathlib import Path
from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.databases import Databases
from tests.kit.small_company import HR, MIA
from tests.ops.commands import answered, rollcall_beside
from tests.responses.conftest import fresh_service, fresh_url, service
from tests.responses.service import Service
from web.popular import record

__all__ = ["fresh_service", "fresh_url", "service"]

MUTATION = "mutation { recompute(filter: { period: { relative: TODAY } }) { days } }"
NAMES = "query Names { departments { name } }"


@pytest.fixture
def given(databases: Databases, fresh_url: str, fresh_service: Service) -> dict[str, Any]:
    """The variables of a service that runs."""
    prefix = fresh_service.prefix
    return {
        "DATABASE_URL": fresh_url,
        "REDIS_URL": databases.redis_url,
        "CACHE_PREFIX": prefix,
        "REDIS_TIMEOUT_MS": 5000,
    }


async def test_an_answer_that_is_kept(fresh_service: Service, given: dict[str, Any], tmp_path: Path) -> None:
    async with fresh_service.rows() as rows:
        await rows.run("UPDATE department SET name = 'Other' WHERE id = 1 RETURNING id")
    path = tmp_path / "names.graphql"
    path.write_text(NAMES)
    result = await rollcall_beside("cache", "why", f"@{path}", "--user", HR, "--json", **given)
    found = answered(result)
    assert (result.exit_code, found["kept"], found["sql"], found["viewerFacts"]) == (0, True, ["departments"], [])
    [all_of_table, any_of_table] = found["tags"]
    assert (all_of_table["tag"], any_of_table["tag"]) == ("department", "department.any")
    assert 0 <= any_of_table["ageSeconds"] < 60 and all_of_table["stamp"]
    shown = await rollcall_beside("cache", "why", NAMES, "--user", HR, **given)
    assert shown.stdout.startswith("kept: it rests on stamps only") and "department.any" in shown.stdout
    assert answered(await rollcall_beside("cache", "why", NAMES, "--user", HR, "--json", **given))["sql"] == []


async def test_answers_that_are_not_kept_say_why(fresh_service: Service, given: dict[str, Any]) -> None:
    async def why(query: str, **more: Any) -> str:
        result = await rollcall_beside("cache", "why", query, "--user", HR, "--json", **{**given, **more})
        assert result.exit_code == 1 and not answered(result)["kept"]
        return str(answered(result)["why"])

    assert await why(NAMES, RESPONSE_CACHE_BYTES=800) == "it takes more than an eighth of RESPONSE_CACHE_BYTES"
    without = "something was read without a stamp: "
    assert await why(NAMES, CACHE_PREFIX="nobody-drains") == f"{without}the fence has lapsed"
    assert await why(NAMES, REDIS_URL="redis://127.0.0.1:1") == f"{without}Redis does not answer"
    assert await why("{ __typename }") == "nothing that it reads has a stamp"
    day = f'attendanceDay(employeeId: "{encode_id("Employee", MIA)}", date: "2026-03-16")'
    assert await why(f"{{ {day} {{ explain {{ __typename }} }} }}") == "it is right for its moment only"
    assert await why(MUTATION) == "mutations never are"
    followed = "subscription { todayChanged { inNow } }"
    assert await why(followed) == "subscriptions never are: each event is executed"
    assert (await why('{ employee(id: "nonsense") { fullName } }')).startswith("the answer has an error: ")


async def test_an_operation_that_is_asked_often_goes_by_its_name(fresh_service: Service, given: dict[str, Any]) -> None:
    fresh_service.resources.popular._one_in = 1
    await fresh_service.ask(NAMES, HR)
    await record(fresh_service.resources.database, fresh_service.resources.popular)
    assert answered(await rollcall_beside("cache", "why", "Names", "--json", **given))["kept"]


async def test_what_is_wrong_is_one_line(fresh_service: Service, given: dict[str, Any]) -> None:
    for arguments, code, words in (
        ([NAMES], 2, "--user: needed the email"),
        ([NAMES, "--user", "nobody@example.org"], 1, "--user: needed the email of a user"),
        ([NAMES, "--user", HR, "--variables", "[1]"], 2, "--variables: needed a JSON object"),
        (["Nobody"], 2, "OPERATION: needed a query, @FILE, or the name of a query that is asked often, got 'Nobody'"),
        (["@/nowhere", "--user", HR], 2, "OPERATION: needed a file"),
        (["{ nothing }", "--user", HR], 1, "OPERATION: needed a valid query"),
    ):
        result = await rollcall_beside("cache", "why", *arguments, **given)
        assert (result.exit_code, result.stdout) == (code, ""), arguments
        assert result.stderr.startswith(words) and len(result.stderr.splitlines()) == 1
