"""`rollcall db`: migrations and slow statements, from PostgreSQL's own record and from ours."""

import asyncio
import os
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from db.migrate import EXTENSIONS, newest_migration
from ops.slow_queries.record import COUNTED_BY_POSTGRESQL, COUNTED_BY_US
from tests.cluster.conftest import Start, start
from tests.cluster.load import ask_once
from tests.cluster.test_status import watched
from tests.kit.databases import Databases
from tests.ops.commands import answered, rollcall, rollcall_beside
from tests.ops.test_user import rows

__all__ = ["start"]


def test_migrate_an_empty_database_and_once_more(databases: Databases) -> None:
    url = databases.url_of(f"test_{os.getpid()}_bare")
    name = make_url(url).database
    asyncio.run(databases._run(f'CREATE DATABASE "{name}"'))
    try:
        first = answered(rollcall("db", "migrate", "--json", DATABASE_URL=url, CACHE="off"))
        assert first == {"from": None, "to": newest_migration()}
        again = rollcall("db", "migrate", DATABASE_URL=url, CACHE="off")
        assert again.output == f"the database stands at migration {newest_migration()} already\n"
    finally:
        databases.drop(url)


@pytest.fixture
def bare(databases: Databases) -> Iterator[str]:
    """A database as `createdb` makes it where nobody has added an extension to template1."""
    url = databases.url_of(f"test_{os.getpid()}_template0")
    asyncio.run(databases._run(f'CREATE DATABASE "{make_url(url).database}" TEMPLATE template0'))
    yield url
    databases.drop(url)


def test_migrate_a_database_without_extensions(bare: str) -> None:
    found = answered(rollcall("db", "migrate", "--json", DATABASE_URL=bare, CACHE="off"))
    assert found == {"from": None, "to": newest_migration()}
    present = {row["extname"] for row in rows(bare, "SELECT extname FROM pg_extension")}
    assert present == {"plpgsql", *EXTENSIONS}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            "REVOKE CREATE ON DATABASE {} FROM app",
            "its user may not do what the migration needs (permission denied to create extension",
        ),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "it takes no writes (cannot execute"),
    ],
)
def test_a_database_that_cannot_be_migrated_is_one_line(bare: str, how: str, said: str) -> None:
    rows(bare, how.format(f'"{make_url(bare).database}"'))
    refused = rollcall("db", "migrate", DATABASE_URL=bare, CACHE="off")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"DATABASE_URL: {said}") and refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ("db", "explain", "{ me { id } }", "--as", "ada@example.org"),
        ("user", "add", "ada@example.org", "--role", "admin"),
        ("user", "password", "ada@example.org"),
        ("cache", "why", "{ me { id } }", "--user", "ada@example.org"),
    ],
    ids=" ".join,
)
def test_a_command_on_a_database_that_was_not_migrated_says_so(
    databases: Databases, bare: str, command: tuple[str, ...]
) -> None:
    given = {"DATABASE_URL": bare, "REDIS_URL": databases.redis_url, "CACHE_PREFIX": "not-migrated"}
    result = rollcall(*command, given="correct horse battery\n", **given)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("DATABASE_URL: the database is not at this version's migration (relation ")
    assert result.stderr.endswith(" does not exist): rollcall db migrate\n") and result.stderr.count("\n") == 1


def test_postgresqls_own_record(databases: Databases) -> None:
    url = databases.new()
    given = {"DATABASE_URL": url, "CACHE": "off"}
    try:
        for number in (1, 2, 3):
            rows(url, f"SELECT {number} AS marker_of_this_test")
        found = answered(rollcall("db", "slow-query", "report", "--json", "--most", 500, **given))
        stats = answered(rollcall("db", "slow-query", "stats", "--json", **given))
    finally:
        databases.drop(url)
    assert (found["source"], found["latest"]) == (COUNTED_BY_POSTGRESQL, None)
    [marked] = [of for of in found["statements"] if "marker_of_this_test" in of["statement"]]
    assert (marked["statement"], marked["calls"], marked["rows"]) == ("SELECT $1 AS marker_of_this_test", 3, 3)
    assert stats["calls"] >= sum(of["calls"] for of in found["statements"])


async def test_our_own_record_where_the_extension_is_missing(start: Start, databases: Databases) -> None:
    cluster = await watched(start, CLUSTER_WORKERS=1)
    for milliseconds in (250, 750):
        await ask_once(cluster.port, f"/?slow_ms={milliseconds}")
    url = databases.url_of(f"test_{os.getpid()}_plain")
    await databases._run(f'CREATE DATABASE "{make_url(url).database}" TEMPLATE template0')
    given = {"DATABASE_URL": url, "CACHE": "off", "STATUS_PORT": cluster.status_port}
    try:
        async with asyncio.timeout(60):
            while True:
                found = answered(await rollcall_beside("db", "slow-query", "report", "--json", **given))
                if len(found["latest"]) == 2:
                    break
        shown = await rollcall_beside("db", "slow-query", "report", **given)
        stopped = await rollcall_beside("db", "slow-query", "report", **(given | {"STATUS_PORT": 1}))
    finally:
        await asyncio.to_thread(databases.drop, url)
    assert found["source"] == COUNTED_BY_US
    [statement] = found["statements"]
    assert (statement["statement"], statement["calls"], statement["total_ms"]) == ("example_slow", 2, 1000.0)
    assert [(slow["name"], slow["ms"]) for slow in found["latest"]] == [
        ("example_slow", 250.0),
        ("example_slow", 750.0),
    ]
    assert "pg_stat_statements is not there" in shown.stdout
    assert stopped.exit_code == 3
