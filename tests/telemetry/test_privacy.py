"""No name, address, badge, token or secret gets into log or traces, whatever is asked, changed or goes wrong."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import orjson
import pytest
import structlog
from sqlalchemy import text

from db.connection import Query
from db.statement_log import statement_log
from telemetry.requests import slow
from telemetry.tracing import Parent, Span, tracer
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.small_company import ADMIN, ANALYST, EMPLOYEE, HR, MANAGER, NOW, fill_small_company
from tests.responses.changes import CHANGES
from tests.responses.questions import QUESTIONS
from tests.responses.service import Service, open_service
from web.logs import open_logs

CLIENT: Final = "203.0.113.7"  # of tests.web.asgi.Client
PASSWORD: Final = "correct-horse-battery"
FACTS: Final = {"event", "level", "timestamp", "request_id", "method", "path", "ms", "status", "operation_name"} | {
    *("operation_type", "cost", "error_codes", "viewer", "sql", "sql_ms", "redis", "redis_ms", "disconnected"),
    "trace_id",
}
PERSONAL: Final = """
SELECT full_name FROM employee UNION ALL SELECT email FROM employee UNION ALL SELECT badge_no FROM employee
UNION ALL SELECT employee_no FROM employee UNION ALL SELECT CAST(email AS text) FROM app_user
"""


class Kept:
    """Keeps every span; all requests are traced."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def samples(self, trace_id: int, parent: Parent | None) -> bool:
        return True

    def export(self, span: Span) -> None:
        self.spans.append(span)


@pytest.fixture
async def fresh_service(databases: Databases) -> AsyncIterator[Service]:
    url = await asyncio.to_thread(databases.new, "small_company", fill_small_company)
    async with open_service(url, databases.redis_url, Clock(NOW)) as found:
        yield found
    await asyncio.to_thread(databases.drop, url)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that is logged, every statement too, each of them as a slow one."""
    stream = io.StringIO()
    open_logs(stream)
    monkeypatch.setattr(statement_log, "every", True)
    monkeypatch.setattr(slow, "threshold_s", 0.0)
    yield stream
    structlog.reset_defaults()


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept()
    monkeypatch.setattr(tracer, "exporter", found)
    return found


async def everything_happens(service: Service) -> list[str]:
    """Everybody asks everything, everything is changed, and what can go wrong does; returns what must stay secret."""
    async with service.resources.database.read() as connection:
        personal = [row[0] for row in await connection.records(Query("kit", text(PERSONAL))) if row[0]]
    users = (ADMIN, HR, MANAGER, ANALYST, EMPLOYEE)
    tokens = [await service.token(user) for user in users]
    for question in QUESTIONS.values():
        for user in (*users, None):
            await service.ask(question, user)
    for change in CHANGES.values():
        await change(service)
    for query in WRONG:
        await service.ask(query, HR)
    for name in (HR, "nobody@example.org"):
        form = f"grant_type=password&username={name}&password={PASSWORD}".encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        await service.client.reply("POST", "/auth/token", headers=headers, body=form)
    await service.client.reply("GET", "/graphql?query={me{email}}&token=" + tokens[0])
    await service.client.reply("GET", "/employees", headers={"authorization": f"Bearer {tokens[0]}x"})
    await service.client.post({"query": "{ me { email } }"}, headers={"authorization": f"Bearer {tokens[0]}x"})
    return [*personal, *tokens, PASSWORD, CLIENT, "nobody@example.org"]


WRONG: Final = (
    '{ employee(id: "Grace Hopper") { fullName } }',
    '{ employees(filter: { search: "grace@" }) { nodes { fullNam } } }',
    'mutation { saveEmployee(input: { employeeNo: "E001", fullName: "Ada Lovelace", email: "ada@" }) { id } }',
    'mutation { saveEmployee(input: { email: "x" }) { userErrors { message } } }',
    "{ employees(first: 100000) { nodes { fullName } } }",
)


async def test_nothing_personal_is_logged_or_traced(fresh_service: Service, log: io.StringIO, kept: Kept) -> None:
    secrets = await everything_happens(fresh_service)
    lines = log.getvalue()
    traces = "\n".join(f"{span.name} {dict(span.attributes)}" for span in kept.spans)
    assert len(secrets) > 40 and lines.count('"event":"request"') > 200 and len(kept.spans) > 1_000
    for secret in secrets:
        assert secret not in lines and secret not in traces, secret
    assert not re.search(r"[\w.]+@[\w.]+|\b\d{1,3}(\.\d{1,3}){3}\b|eyJ", lines + traces)


async def test_a_line_of_a_request_says_what_it_was_for_whom_and_what_it_took(
    fresh_service: Service, log: io.StringIO, kept: Kept
) -> None:
    await everything_happens(fresh_service)
    found: list[dict[str, Any]] = [orjson.loads(line) for line in log.getvalue().splitlines()]
    requests = [line for line in found if line["event"] == "request"]
    assert set().union(*requests) <= FACTS
    assert {"request_id", "ms", "status", "trace_id", "method", "path"} <= set.intersection(*map(set, requests))
    answered = [line for line in requests if line.get("operation_type") and not line.get("error_codes")]
    assert {line["viewer"] for line in answered} == {"ADMIN", "HR", "MANAGER", "ANALYST", "EMPLOYEE"}
    assert {line["operation_type"] for line in answered} == {"query", "mutation"}
    statements = [line for line in found if line["event"] == "slow statement"]
    for line in (line for line in requests if line.get("operation_type") == "query"):
        sent = [statement for statement in statements if statement.get("request_id") == line["request_id"]]
        assert line.get("sql", 0) == len(sent)
    assert {line["redis"] for line in answered if line["operation_type"] == "query" and "sql" not in line} >= {1}
