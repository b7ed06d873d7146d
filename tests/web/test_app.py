"""The application around GraphQL: health, request id, hosts, CORS, security headers, problems, the access log."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from structlog.testing import capture_logs

from domain.errors import ErrorCode, Forbidden, Unauthenticated, Unavailable, UserProblem
from tests.web.asgi import Client, sample_app
from web.health import health_routes
from web.hosts import without_port
from web.http_settings import HttpSettings, LimitSettings
from web.settings import ServerSettings


async def ready() -> None:
    """A check that passes."""


async def down() -> None:
    raise Unavailable("PostgreSQL does not answer at all")


async def broken() -> None:
    raise RuntimeError("password=hunter2")


async def test_health() -> None:
    client = Client(sample_app(given={"readiness": {"database": ready}}))
    reply = await client.reply("GET", "/healthz", headers={"Host": "10.1.2.3:3002"})
    assert (reply.status, reply.json, reply.headers["cache-control"]) == (200, {"alive": True}, "no-store")
    reply = await client.reply("GET", "/readyz")
    assert reply.status == 200
    assert reply.json["ready"] is True
    assert reply.json["checks"]["database"].keys() == {"ok", "ms"}


async def test_not_ready() -> None:
    checks = {"database": down, "cache": broken, "schema": ready}
    client = Client(sample_app(given={"readiness": checks}))
    with capture_logs():
        reply = await client.reply("GET", "/readyz")
    assert (reply.status, reply.json["ready"]) == (503, False)
    assert reply.json["checks"]["database"] == {"ok": False, "error": "PostgreSQL does not answer at all"}
    assert reply.json["checks"]["cache"] == {"ok": False, "error": "RuntimeError"}
    assert reply.json["checks"]["schema"]["ok"] is True


async def test_a_check_that_hangs() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    client = Client(Starlette(routes=health_routes({"redis": hang}, timeout_s=0.01)))
    with capture_logs():
        reply = await client.reply("GET", "/readyz")
    assert reply.json == {"ready": False, "checks": {"redis": {"ok": False, "error": "no answer within 0.01 s"}}}


async def test_request_id() -> None:
    client = Client(sample_app())
    given = await client.reply("GET", "/healthz", headers={"X-Request-Id": "trace/0123-abc"})
    assert given.headers["x-request-id"] == "trace/0123-abc"
    made = [(await client.reply("GET", "/healthz")).headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    for bad in ("short", "x" * 129, 'quote"123456'):
        reply = await client.reply("GET", "/healthz", headers={"X-Request-Id": bad})
        assert len(reply.headers["x-request-id"]) == 16


async def test_unknown_path_and_method_are_problems() -> None:
    client = Client(sample_app())
    reply = await client.reply("GET", "/graphq")
    assert reply.json == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "code": "NOT_FOUND",
        "detail": "there is nothing at /graphq; the API is at /graphql",
    }
    assert reply.headers["content-type"] == "application/problem+json"
    reply = await client.reply("POST", "/healthz")
    assert (reply.status, reply.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert reply.json["detail"] == "method: needed GET, HEAD, got POST"


async def test_security_headers() -> None:
    async def page(request: Request) -> Response:
        return PlainTextResponse("x", headers={"Content-Security-Policy": "default-src 'self'"})

    client = Client(sample_app(given={"routes": [Route("/page", page)]}))
    expected = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    }
    for reply in (await client.query("{hello}"), await client.reply("GET", "/nowhere")):
        assert {name: reply.headers.get(name) for name in expected} == expected
    own = await client.reply("GET", "/page")
    assert own.headers["content-security-policy"] == "default-src 'self'"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Unauthenticated("sign in first"), 401, "UNAUTHENTICATED"),
        (Forbidden("needs HR"), 403, "FORBIDDEN"),
        (Unavailable("the database is down", 7), 503, "SERVICE_UNAVAILABLE"),
        (UserProblem(ErrorCode.CONFLICT, "somebody was faster"), 400, "BAD_USER_INPUT"),
        (RuntimeError("secret: hunter2"), 500, "INTERNAL_SERVER_ERROR"),
    ],
)
async def test_errors_of_other_routes_are_problems(error: Exception, status: int, code: str) -> None:
    async def fail(request: Request) -> Response:
        raise error

    client = Client(sample_app(given={"routes": [Route("/fail", fail)]}))
    with capture_logs() as logs:
        reply = await client.reply("GET", "/fail", headers={"X-Request-Id": "abc-12345"})
    assert (reply.status, reply.json["code"]) == (status, code)
    if status == 500:
        assert reply.json["detail"] == "Internal error; quote request id abc-12345"
        assert [entry["event"] for entry in logs] == ["request failed", "request"]


async def test_bodies_of_other_routes_are_limited_too() -> None:
    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    routes = [Route("/read", read, methods=["POST"])]
    client = Client(sample_app(given={"routes": routes}, limits=LimitSettings.of(body_bytes=1000)))
    assert (await client.reply("POST", "/read", body=b"x" * 1000)).body == b"1000"
    reply = await client.reply("POST", "/read", body=[b"x" * 1000, b"x"])
    assert (reply.status, reply.json["code"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("host", "listen", "allowed", "status"),
    [
        ("localhost:3002", "127.0.0.1", (), 200),
        ("[::1]:3002", "127.0.0.1", (), 200),
        ("127.0.0.1", "127.0.0.1", (), 200),
        ("evil.example", "127.0.0.1", (), 421),
        ("localhost.evil.example", "127.0.0.1", (), 421),
        ("", "127.0.0.1", (), 421),
        ("anything.example", "0.0.0.0", (), 200),
        ("API.example.org", "0.0.0.0", ("api.example.org",), 200),
        ("a.b.example.org:443", "0.0.0.0", ("*.example.org",), 200),
        ("example.org", "0.0.0.0", ("*.example.org",), 421),
        ("localhost", "127.0.0.1", ("*.example.org",), 421),
        ("anything", "127.0.0.1", ("*",), 200),
    ],
)
async def test_allowed_hosts(host: str, listen: str, allowed: tuple[str, ...], status: int) -> None:
    app = sample_app(server=ServerSettings.of(host=listen), http=HttpSettings.of(allowed_hosts=allowed))
    reply = await Client(app).post({"query": "{hello}"}, headers={"Host": host})
    assert reply.status == status
    if status == 421:
        assert reply.json["code"] == "HOST_NOT_ALLOWED"
        assert "x-request-id" in reply.headers


def test_host_names_without_port() -> None:
    hosts = ("a", "a:1", "[::1]", "[::1]:80", "::1", "a:b", "")
    assert [without_port(host) for host in hosts] == ["a", "a", "[::1]", "[::1]", "::1", "a:b", ""]


async def test_cors() -> None:
    origin = {"Origin": "https://app.example.org"}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,traceparent",
    }
    open_app = Client(sample_app(http=HttpSettings.of(cors_origins=("https://app.example.org",))))
    reply = await open_app.reply("OPTIONS", "/graphql", headers=preflight)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "https://app.example.org")
    assert "access-control-allow-credentials" not in reply.headers
    reply = await open_app.post({"query": "{hello}"}, headers=origin)
    assert reply.headers["access-control-allow-origin"] == "https://app.example.org"
    shown = "X-Request-Id, Retry-After, ETag, Cache-Status, X-Rollcall-Consistency, Traceresponse"
    assert reply.headers["access-control-expose-headers"] == shown
    assert reply.headers["vary"] == "Accept, Origin"
    reply = await open_app.reply("OPTIONS", "/graphql", headers={**preflight, "Origin": "https://evil.example"})
    assert (reply.status, reply.headers.get("access-control-allow-origin")) == (400, None)
    closed = Client(sample_app())
    assert "access-control-allow-origin" not in (await closed.post({"query": "{hello}"}, headers=origin)).headers


async def test_cors_for_anybody() -> None:
    client = Client(sample_app(http=HttpSettings.of(cors_origins=("*",))))
    reply = await client.post({"query": "{hello}"}, headers={"Origin": "https://any.example"})
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, "*")
    assert "access-control-allow-credentials" not in reply.headers


async def test_the_access_log_names_the_operation_and_no_person() -> None:
    client = Client(sample_app())
    with capture_logs() as logs:
        await client.post(
            {"query": "query Greet($t: String!) { echo(text: $t) crash }", "variables": {"t": "ann@example.org"}},
            headers={"X-Request-Id": "abc-12345", "Authorization": "Bearer hunter2"},
        )
        await client.reply("GET", "/graphql?query=ann@example.org")
    first, second = [entry for entry in logs if entry["event"] == "request"]
    assert first.pop("ms") >= 0
    assert first == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/graphql",
        "request_id": "abc-12345",
        "status": 200,
        "operation_name": "Greet",
        "operation_type": "query",
        "cost": 0,
        "error_codes": ("INTERNAL_SERVER_ERROR",),
    }
    assert second["status"] == 200
    assert second["error_codes"] == ("GRAPHQL_PARSE_FAILED",)
    assert "203.0.113.7" not in str(logs)
    assert "ann@" not in str([first, second])


async def test_the_callers_lifespan_runs() -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        seen.append("up")
        yield
        seen.append("down")

    app = sample_app(given={"lifespan": lifespan})
    async with app.router.lifespan_context(app) as state:
        assert (seen, state) == (["up"], {})
    assert seen == ["up", "down"]
