"""`rollcall user`: the first administrator of an installation, and forgotten passwords."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from tests.kit.databases import Databases
from tests.kit.small_company import fill_small_company
from tests.ops.commands import answered, rollcall
from web.passwords import HASHER

PASSWORD = "correct horse battery"
SHORT = "password: needed 10 to 1000 characters, got"
NUMBER = "--employee-no: needed the number of an employee, got"
LOOK = "SELECT u.*, g.role, g.department_id FROM app_user u JOIN role_grant g ON g.user_id = u.id WHERE email = $1"


def rows(url: str, sql: str, *arguments: object) -> list[Any]:
    async def ask() -> list[Any]:
        found = make_url(url)
        database, host = found.database, str(found.query["host"])
        connection = await asyncpg.connect(host=host, port=5432, user=found.username, database=database)
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    made = databases.new("small_company", fill_small_company)
    yield made
    databases.drop(made)


@pytest.fixture
def variables(url: str, databases: Databases) -> dict[str, str]:
    return {"DATABASE_URL": url, "REDIS_URL": databases.redis_url}


def test_first_administrator(url: str, variables: dict[str, str]) -> None:
    result = rollcall("user", "add", "Ada@example.org", "--role", "admin", given=PASSWORD + "\n", **variables)
    assert (result.exit_code, result.output) == (0, "Ada@example.org can sign in now, as ADMIN\n")
    [row] = rows(url, LOOK, "ada@example.org")
    assert HASHER.verify(row["password_hash"], PASSWORD)
    assert (row["role"], row["department_id"], row["employee_id"], row["is_active"]) == ("ADMIN", None, None, True)
    assert PASSWORD not in result.output


def test_employee_gets_a_user(url: str, variables: dict[str, str]) -> None:
    free = (
        "SELECT id, employee_no FROM employee WHERE id NOT IN (SELECT employee_id FROM app_user WHERE employee_id > 0)"
    )
    employee = rows(url, free)[0]
    arguments = ("user", "add", "--employee-no", employee["employee_no"], "--json")
    made = answered(rollcall(*arguments, "bo@example.org", given=PASSWORD, **variables))
    assert (made["email"], made["role"]) == ("bo@example.org", "EMPLOYEE")
    [row] = rows(url, LOOK, "bo@example.org")
    assert (row["id"], row["employee_id"]) == (made["id"], employee["id"])
    again = rollcall(*arguments, "cy@example.org", given=PASSWORD, **variables)
    message = f"--employee-no: employee {employee['employee_no']} is the user bo@example.org already\n"
    assert (again.exit_code, again.output) == (1, message)
    assert rows(url, LOOK, "cy@example.org") == []


def test_new_password_signs_out(url: str, variables: dict[str, str]) -> None:
    rollcall("user", "add", "di@example.org", given=PASSWORD, **variables)
    result = rollcall("user", "password", "di@example.org", given="another password", **variables)
    assert result.exit_code == 0
    [row] = rows(url, LOOK, "di@example.org")
    assert HASHER.verify(row["password_hash"], "another password")
    assert row["token_epoch"] == 1


@pytest.mark.parametrize(
    ("arguments", "given", "code", "message"),
    [
        (["add", "ada"], PASSWORD, 2, "EMAIL: needed an address like ada@example.org, got 'ada'"),
        (["add", "x@y.z"], "short", 2, f"{SHORT} 5 on the first line of standard input"),
        (["add", "x@y.z"], "", 2, f"{SHORT} 0 on the first line of standard input"),
        (["add", "x@y.z", "--employee-no", "no"], PASSWORD, 1, f"{NUMBER} 'no'"),
        (["password", "nobody@y.z"], PASSWORD, 1, "EMAIL: needed the email of a user, got 'nobody@y.z'"),
    ],
)  # fmt: skip
def test_refused(
    variables: dict[str, str], url: str, arguments: list[str], given: str, code: int, message: str
) -> None:
    result = rollcall("user", *arguments, given=given, **variables)
    assert (result.exit_code, result.output) == (code, message + "\n")
    assert rows(url, LOOK, "x@y.z") == []


def test_email_once(variables: dict[str, str]) -> None:
    rollcall("user", "add", "eve@example.org", given=PASSWORD, **variables)
    again = rollcall("user", "add", "EVE@example.org", "--role", "admin", given=PASSWORD, **variables)
    message = "EMAIL: EVE@example.org is a user already; roles are given by the mutation grantRole\n"
    assert (again.exit_code, again.output) == (1, message)


def test_without_any_database(tmp_path: object) -> None:
    result = rollcall("user", "add", "x@y.z", given=PASSWORD, DATA_DIR=tmp_path, DATABASE_URL="", DB_HOST="")
    message = (
        f"DATABASE_URL: needed the address of PostgreSQL, got none, and DATA_DIR {tmp_path} holds no private one\n"
    )
    assert (result.exit_code, result.output) == (2, message)


def test_database_that_does_not_answer(databases: Databases) -> None:
    given = {"DATABASE_URL": "postgresql://nobody:geheim@127.0.0.1:1/x", "REDIS_URL": databases.redis_url}
    result = rollcall("user", "add", "x@y.z", given=PASSWORD, **given)
    named = "DATABASE_URL: needed a PostgreSQL that answers, got postgresql://nobody:***@127.0.0.1:1/x: "
    assert result.exit_code == 3 and result.output.startswith(named) and result.output.count("\n") == 1
