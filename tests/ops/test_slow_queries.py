"""`rollcall db slow-query`: a planted slow statement is found and traced; there is less where less is known."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy.engine import make_url

from db.embedded.lease import FOR_TESTS, lease
from ops.slow_queries import record
from ops.slow_queries.page import page
from ops.slow_queries.record import Record, Sender, Statement
from tests.cluster.conftest import ROOT, Cluster, free_port
from tests.kit.databases import Databases
from tests.kit.small_company import fill_small_company
from tests.ops.commands import answered, rollcall, rollcall_beside
from tests.ops.test_user import rows
from web.signing_key import kept_key

PASSWORD = "correct horse battery"
PLANTED = (  # every row of the table that is read takes its time
    "ALTER TABLE location ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE location FORCE ROW LEVEL SECURITY",
    "CREATE POLICY planted ON location USING (pg_sleep(0.1) IS NOT NULL)",
)
QUERY = "query PlantedLocations { locations { name } }"
SENT_BY = {"operation": "query PlantedLocations", "loader": "locations", "calls": 1}


@dataclass
class Running:
    """The service, over a database of its own whose table of locations is slow."""

    url: str
    cluster: Cluster
    given: dict[str, Any]

    async def ask(self, query: str) -> None:
        """Have a user of the service ask a query."""
        async with httpx2.AsyncClient(base_url=f"http://localhost:{self.cluster.port}", timeout=30) as client:
            form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
            signed_in = await client.post("/auth/token", data=form)
            assert signed_in.status_code == 200, signed_in.text
            token = signed_in.json()["access_token"]
            answer = await client.post(
                "/graphql",
                json={"query": query},
                headers={"Authorization": f"Bearer {token}", "X-Request-Id": "asked-0001"},
            )
            assert answer.status_code == 200 and "errors" not in answer.json(), (answer.text, self.cluster.lines)


@pytest.fixture
async def running(databases: Databases, tmp_path: Path) -> AsyncIterator[Running]:
    url = await asyncio.to_thread(databases.new, "small_company", fill_small_company)
    kept_key(key := tmp_path / "auth.key")
    port, status_port = free_port(), free_port()
    given = {
        "DATABASE_URL": url,
        "CACHE": "off",
        "DATA_DIR": tmp_path,
        "AUTH_PRIVATE_KEY_FILE": key,
        "STATUS_PORT": status_port,
        "ENABLE_EXPLAIN_ANALYZE": "true",
        "SLOW_QUERY_THRESHOLD_MS": 250,
    }
    added = await rollcall_beside("user", "add", "ada@example.org", "--role", "admin", given=PASSWORD + "\n", **given)
    assert added.exit_code == 0
    for sql in PLANTED:
        await asyncio.to_thread(rows, url, sql)
    variables = {"PORT": port, "CLUSTER_WORKERS": 1, "ENABLE_QUERY_LOGGING": "true", **given}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "server.py"),
        cwd=ROOT,
        env={**os.environ, **{name: str(value) for name, value in variables.items()}},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    cluster = Cluster(process, port, status_port)
    try:
        await cluster.ready(1)
        await cluster.status_ready()
        yield Running(url, cluster, given)
    finally:
        if process.returncode is None:
            process.terminate()
        await cluster.ended()
        await asyncio.to_thread(databases.drop, url)


async def test_a_planted_slow_statement_is_traced_to_operation_loader_and_plan(
    running: Running, tmp_path: Path
) -> None:
    await running.ask(QUERY)
    html = tmp_path / "report.html"
    asked = ("db", "slow-query", "report", "--most", 500, "--html", html, "--json")
    async with asyncio.timeout(60):
        while True:
            told = await rollcall_beside(*asked, **running.given)
            assert told.exit_code == 0, told.stderr
            found = answered(told)
            planted = [of for of in found["statements"] if of["name"] == "locations"]
            if found["latest"] and planted and planted[0]["senders"] and planted[0]["plan"]["source"] == "a worker":
                break
    [one] = planted
    assert (one["calls"], one["senders"]) == (1, [SENT_BY])
    plan = one["plan"]
    assert (plan["analyzed"], plan["operation"]) == (True, "query PlantedLocations")
    assert str(plan["tree"]["Query Identifier"]) == one["queryid"]
    assert plan["ms"] > 250 and "pg_sleep" in str(plan["outline"])
    [slow] = [of for of in found["latest"] if of["name"] == "locations"]
    assert (slow["operation"], slow["loader"], slow["process"]) == ("query PlantedLocations", "locations", "worker 1")
    assert record.UNREAD in found["notes"] and record.NOT_RUNNING not in found["notes"]
    line = orjson.loads(await running.cluster.line('"name":"locations"'))
    assert (line["event"], line["operation"], line["loader"]) == ("slow statement", SENT_BY["operation"], "locations")
    assert line["request_id"] == "asked-0001"

    assert "query PlantedLocations · locations · 1" in html.read_text()
    written = await rollcall_beside(*asked[:2], "report", "--html", html, **running.given)
    assert (written.exit_code, written.stdout) == (0, f"{html}: 20 statements\n")


def granted(url: str, verb: str, direction: str) -> None:
    """Give or take the right to reset, as the superuser of the server."""
    superuser = str(make_url(url).set(username="postgres"))
    for whom in ("app", "PUBLIC"):
        rows(superuser, f"{verb} EXECUTE ON FUNCTION pg_stat_statements_reset {direction} {whom}")


def test_cleanup_forgets_the_statistics_of_this_database_alone(databases: Databases) -> None:
    url, other = databases.new(), databases.new()
    given = {"DATABASE_URL": url, "CACHE": "off"}
    try:
        rows(url, "SELECT 1 AS mine")
        rows(other, "SELECT 1 AS theirs")
        granted(url, "REVOKE", "FROM")
        refused = rollcall("db", "slow-query", "cleanup", **given)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "GRANT EXECUTE ON FUNCTION pg_stat_statements_reset" in refused.stderr
        granted(url, "GRANT", "TO")
        rows(url, "INSERT INTO slow_plan VALUES ('x', 1, 's', '', '', 1, false, '{}')")
        dry = answered(rollcall("db", "slow-query", "cleanup", "--dry-run", "--json", **given))
        done = answered(rollcall("db", "slow-query", "cleanup", "--json", **given))
        assert (dry["plans"], done["plans"]) == (1, 1)
        assert done["statements"] > 0
        own = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        look = f"SELECT count(*) FROM pg_stat_statements WHERE query LIKE 'SELECT $1 AS %' AND {own}"
        assert [rows(of, look)[0]["count"] for of in (url, other)] == [0, 1]
        assert rows(url, "SELECT FROM slow_plan") == []
        shown = rollcall("db", "slow-query", "cleanup", **given)
        assert shown.stdout.startswith("forgot: ") and "0 plans" in shown.stdout
    finally:
        databases.drop(url)
        databases.drop(other)


def test_statements_of_other_users_are_one_row_without_text(databases: Databases) -> None:
    url, role = databases.new(), f"plain_{os.getpid()}"
    superuser = str(make_url(url).set(username="postgres"))
    given = {"DATABASE_URL": str(make_url(url).set(username=role)), "CACHE": "off"}
    rows(superuser, f"CREATE ROLE {role} LOGIN")
    try:
        rows(superuser, f"GRANT SELECT ON slow_plan TO {role}")
        rows(url, "SELECT 1 AS hidden")
        found = answered(rollcall("db", "slow-query", "report", "--most", 500, "--json", **given))
        shown = rollcall("db", "slow-query", "report", **given)
    finally:
        rows(superuser, f"DROP OWNED BY {role}")
        rows(superuser, f"DROP ROLE {role}")
        databases.drop(url)
    [hidden] = [of for of in found["statements"] if of["queryid"] is None]
    assert hidden["statement"] == record.HIDDEN and hidden["no_plan"].endswith("GRANT pg_read_all_stats to see it")
    assert "AS hidden" not in str(found) and shown.exit_code == 0


def test_watch_shows_what_happened_since_the_last_view(databases: Databases) -> None:
    url = databases.new()
    given = {"DATABASE_URL": url, "CACHE": "off"}
    try:
        rows(url, "SELECT 1 AS before_watching")
        shown = rollcall("db", "slow-query", "watch", "--times", 2, "--every", 0.1, "--most", 500, "--json", **given)
        plain = rollcall("db", "slow-query", "watch", "--times", 1, **given)
    finally:
        databases.drop(url)
    first, second = (orjson.loads(line) for line in shown.stdout.splitlines())
    assert (first["seconds"], second["seconds"] > 0, second["latest"]) == (0, True, None)
    assert "SELECT $1 AS before_watching" in {of["name"] for of in first["statements"]}
    assert {of["name"]: of["calls"] for of in second["statements"]}["slowest_statements"] == 1
    assert "SELECT $1 AS before_watching" not in {of["name"] for of in second["statements"]}
    assert (plain.exit_code, "Statements since they are counted" in plain.stdout) == (0, True)


def test_a_server_without_any_of_the_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extension is created, but its library is not loaded; the service runs nowhere."""
    running = {
        "statements": {"locations": {"count": 2, "total_s": 0.7, "p95_ms": 400.0}},
        "senders": {"locations": {"query Offices": {"locations": 2}}},
        "slow_statements": [],
    }
    with lease(tmp_path, postgres_settings={**FOR_TESTS, "shared_preload_libraries": ""}) as servers:
        given = {"DATABASE_URL": servers.database_url, "CACHE": "off", "DATA_DIR": tmp_path / "none"}
        stopped = rollcall("db", "slow-query", "report", **given)
        assert (stopped.exit_code, stopped.stdout) == (3, "")
        assert "pg_stat_statements is not there" in stopped.stderr
        monkeypatch.setattr(record, "_running", lambda _: running)
        found = answered(rollcall("db", "slow-query", "report", "--json", **given))
        cleaned = rollcall("db", "slow-query", "cleanup", **given)
        watched = answered(rollcall("db", "slow-query", "watch", "--times", 1, "--json", **given))
    assert found["source"] == record.COUNTED_BY_US
    assert found["notes"] == [record.NOT_EXPLAINING, record.NOT_LOADED]
    [one] = found["statements"]
    assert (one["name"], one["calls"], one["mean_ms"], one["plan"]) == ("locations", 2, 350.0, None)
    assert one["senders"] == [{"operation": "query Offices", "loader": "locations", "calls": 2}]
    assert (cleaned.exit_code, cleaned.stdout.splitlines()[0]) == (
        0,
        "forgot: pg_stat_statements is not there, 0 plans",
    )
    assert watched["statements"][0]["name"] == "locations"


def test_a_page_escapes_what_others_wrote() -> None:
    hostile = "<script>alert(1)</script>"
    statement = Statement(
        "1",
        None,
        hostile,
        1,
        1.0,
        1.0,
        1.0,
        None,
        1,
        1,
        1,
        0,
        [Sender(f"query {hostile}", hostile, 1)],
        no_plan=hostile,
    )
    latest = [{"name": hostile, "ms": 1.0, "operation": hostile, "loader": hostile, "process": hostile}]
    made = page(Record(hostile, [hostile], 200.0, [statement], latest), datetime(2026, 3, 16, tzinfo=UTC))
    assert "<script" not in made and made.count("&lt;script&gt;") == 13


def test_wrong_files_are_one_line(databases: Databases, tmp_path: Path) -> None:
    url = databases.new()
    try:
        for option, words in (
            ("--html", "needed a file that can be written"),
            ("--log", "needed the log of PostgreSQL"),
        ):
            given = {"DATABASE_URL": url, "CACHE": "off"}
            result = rollcall("db", "slow-query", "report", option, tmp_path / "no" / "where", **given)
            assert (result.exit_code, result.stdout) == (2, "") and words in result.stderr
    finally:
        databases.drop(url)
