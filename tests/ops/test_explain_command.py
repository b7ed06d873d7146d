"""`rollcall db explain`: the plan of every statement that a query runs; mutations are refused, nothing changes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.databases import Databases
from tests.kit.small_company import EMPLOYEE, HR, MIA, fill_small_company
from tests.ops.commands import answered, rollcall
from tests.ops.test_user import rows

QUERY = "query Explained($id: ID!) { employee(id: $id) { fullName department { name } } }"
VARIABLES = f'{{"id": "{encode_id("Employee", MIA)}"}}'


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    found = databases.new("small_company", fill_small_company)
    yield found
    databases.drop(found)


@pytest.fixture
def given(url: str, databases: Databases) -> dict[str, Any]:
    return {"DATABASE_URL": url, "REDIS_URL": databases.redis_url}


def test_every_statement_with_values_loader_and_plan(given: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "explained.graphql"
    path.write_text(QUERY)
    asked = ("db", "explain", f"@{path}", "--as", HR, "--variables", VARIABLES)
    found = answered(rollcall(*asked, "--json", **given))
    assert (found["operation"], found["errors"]) == ("query Explained", "")
    names = [(one["name"], one["loader"]) for one in found["statements"]]
    assert names == [("employee_by_id", "employee"), ("department_by_id", "department")]
    for one in found["statements"]:
        assert one["analyzed"] and one["plan"]["Plan"]["Actual Rows"] == 1, one
        assert one["queryid"] == str(one["plan"]["Query Identifier"])
    assert found["statements"][0]["values"] == [[MIA]]
    assert answered(rollcall(*asked, "--json", **given))["statements"][0]["plan"], "a second time, past every cache"
    shown = rollcall(*asked, **given).stdout
    assert shown.startswith("1. employee_by_id (loader employee), ") and f"values: [{MIA}]" in shown
    assert "query Explained: 2 statements, " in shown


def test_an_operation_that_is_asked_often_goes_by_its_name(url: str, given: dict[str, Any]) -> None:
    [user] = rows(url, "SELECT id FROM app_user WHERE email = $1", EMPLOYEE)
    values = "('x', $1, 'Mine', '{}', 'application/json', $2, 1.0)"
    columns = "digest, query, operation_name, variables, media_type, user_id, weight"
    sql = f"INSERT INTO frequent_operation ({columns}) VALUES {values}"
    rows(url, sql, "query Mine { me { employee { fullName } } }", user["id"])
    found = answered(rollcall("db", "explain", "Mine", "--json", **given))
    assert found["operation"] == "query Mine"
    assert "employee_by_id" in {one["name"] for one in found["statements"]}


def test_a_mutation_is_not_executed(url: str, given: dict[str, Any]) -> None:
    count = "SELECT count(*) FROM punch"
    before = rows(url, count)[0]["count"]
    mutation = "mutation { recompute(filter: { period: { relative: TODAY } }) { days } }"
    refused = rollcall("db", "explain", mutation, "--as", HR, **given)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.strip() == "OPERATION: needed a query, got a mutation: its plans would need what it writes"
    assert rows(url, count)[0]["count"] == before


def test_what_is_wrong_is_one_line(given: dict[str, Any]) -> None:
    for arguments, code, words in (
        ([QUERY], 2, "--as: needed the email of the user who asks"),
        ([QUERY, "--as", "nobody@example.org"], 1, "--as: needed the email of a user"),
        ([QUERY, "--as", HR, "--variables", "[1]"], 2, "--variables: needed a JSON object"),
        (["@/nowhere", "--as", HR], 2, "OPERATION: needed a file"),
        (["{ nothing }", "--as", HR], 1, "OPERATION: needed a valid query"),
    ):
        result = rollcall("db", "explain", *arguments, **given)
        assert (result.exit_code, result.stdout) == (code, ""), arguments
        assert result.stderr.startswith(words) and result.stderr.count("\n") == 1, result.stderr
    unreachable = given | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    result = rollcall("db", "explain", QUERY, "--as", HR, **unreachable)
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)


def test_an_answer_with_errors_is_explained_and_says_so(given: dict[str, Any]) -> None:
    result = rollcall("db", "explain", QUERY, "--as", HR, "--variables", '{"id": "nonsense"}', **given)
    assert result.exit_code == 0 and "the answer has errors: " in result.stdout
