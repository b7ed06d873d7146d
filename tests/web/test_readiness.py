"""/readyz of the real service: without Redis it is ready, and says what is missing; the log says so once."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from server import application
from tests.kit.databases import Databases
from web.settings import Settings
from web.signing_key import kept_key

Serve = Callable[[str], Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def serve(company_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """A client of the service with this REDIS_URL."""
    kept_key(key := tmp_path / "auth.key")
    monkeypatch.setenv("DATABASE_URL", company_url)
    monkeypatch.setenv("AUTH_PRIVATE_KEY_FILE", str(key))
    async with AsyncExitStack() as stack:

        async def serve_with(redis_url: str) -> httpx2.AsyncClient:
            monkeypatch.setenv("REDIS_URL", redis_url)
            app = application(Settings.from_environment())
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost")
            return await stack.enter_async_context(client)

        yield serve_with


async def test_without_redis_it_is_ready_and_says_so(serve: Serve) -> None:
    with capture_logs() as lines:
        client = await serve("redis://:geheim@127.0.0.1:1/0")
        answers = [await client.get("/readyz") for _ in range(3)]
    for answer in answers:
        assert (answer.status_code, answer.json()["ready"]) == (200, True)
        assert answer.json()["checks"]["database"]["ok"] is True
        assert answer.json()["checks"]["redis"] == {
            "ok": False,
            "error": "Redis does not answer: answers come from PostgreSQL, slower, until it does",
        }
    (outage,) = [line for line in lines if "Redis" in line["event"]]
    assert outage["log_level"] == "warning"
    assert "connecting to 127.0.0.1:1" in outage["reason"]
    assert "geheim" not in json.dumps(lines, default=str)


async def test_with_redis_both_are_shown(serve: Serve, databases: Databases) -> None:
    client = await serve(databases.redis_url)
    checks = (await client.get("/readyz")).json()["checks"]
    assert {name: check["ok"] for name, check in checks.items()} == {"database": True, "redis": True}
