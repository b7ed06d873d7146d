"""The status port as an ASGI application: health, figures, metrics, the live page, and what operators ask for.

Whoever reaches the port may look; only a bearer of the token may change something.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.metrics import exposition
from cluster.observatory import Observatory
from cluster.stats import health, statements, stats
from web.hosts import AllowedHosts
from web.responses import problem, problem_of_http
from web.settings import MOST_WORKERS

PAGE: Final = Path(__file__).parent / "status_page"
FILES: Final = {"/": "index.html", "/page.js": "page.js", "/page.css": "page.css", "/icon.svg": "icon.svg"}
TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
MOST_VIEWERS: Final = 50
TICK: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(minutes=5)
MOST_BODY: Final = 1_000


class Desk:
    """Takes orders for the supervisor and waits for its answers."""

    def __init__(self, observatory: Observatory, send: Callable[..., None], token: str | None) -> None:
        self.observatory = observatory
        self.idle = asyncio.Event()
        self.idle.set()
        self._pending = 0
        self.closing = asyncio.Event()
        self._send = send
        self._token = token

    def refusal(self, request: Request) -> Response | None:
        """Why this request may not change anything."""
        if self._token is None:
            return problem(403, "NO_STATUS_TOKEN", "nothing can be changed here: set STATUS_TOKEN", HEADERS)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return None
        needed = "Authorization: needed Bearer and STATUS_TOKEN (or what is in DATA_DIR/status.token), got "
        got = "another token" if given else "none"
        return problem(401, "BAD_STATUS_TOKEN", needed + got, {**HEADERS, "WWW-Authenticate": "Bearer"})

    async def ordered(self, **order: object) -> Response:
        """Have the supervisor do something, and answer once it has."""
        if not self.observatory.snapshot.get("clustered"):
            detail = "ENABLE_CLUSTERING is off: there is no supervisor that could do it"
            return problem(409, "NOT_CLUSTERED", detail, HEADERS)
        number = token_hex(8)
        self._pending += 1
        self.idle.clear()
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                self._send(order={"id": number, **order})
                while (done := self.observatory.snapshot["answers"].get(number)) is None:
                    await self.observatory.news()
        except TimeoutError:
            return problem(504, "NO_ANSWER", f"the supervisor did not answer within {PATIENCE}", HEADERS)
        finally:
            self._pending -= 1
            if not self._pending:
                self.idle.set()
        if done is not True:  # a supervisor of an older version, which reloads leave as it is, says False
            reason = done or "the service's log says why"
            return problem(500, "NOT_DONE", f"not done, the processes that serve stay: {reason}", HEADERS)
        return _json({"done": True, **health(self.observatory)})


def status_app(desk: Desk, hosts: Sequence[str]) -> Starlette:
    """The application of the status port; `hosts` are the names under which it may be called, * for any."""
    observatory, viewers = desk.observatory, _Viewers()

    def shown(what: Callable[[Observatory], object]) -> Callable[[Request], Any]:
        async def show(_: Request) -> Response:
            return _json(what(observatory))

        return show

    async def show_health(_: Request) -> Response:
        found = health(observatory)
        return _json(found, 503 if found["status"] == "down" else 200)

    async def metrics(_: Request) -> Response:
        return Response(exposition(observatory), headers=HEADERS, media_type="text/plain; version=0.0.4")

    async def restart(request: Request) -> Response:
        return desk.refusal(request) or await desk.ordered(do="reload")

    async def scale(request: Request) -> Response:
        if refused := desk.refusal(request):
            return refused
        workers = await _wanted_workers(request)
        if workers is None:
            detail = f'body: needed {{"workers": a whole number from 1 to {MOST_WORKERS}}}'
            return problem(400, "BAD_REQUEST", detail, HEADERS)
        return await desk.ordered(do="scale", workers=workers)

    async def events(_: Request) -> Response:
        if viewers.number >= MOST_VIEWERS:
            return problem(503, "TOO_MANY_VIEWERS", f"{MOST_VIEWERS} pages are open already", HEADERS)
        return StreamingResponse(viewers.stream(desk), headers=HEADERS, media_type="text/event-stream")

    return Starlette(
        routes=[
            Route("/cluster/health", show_health),
            Route("/cluster/stats", shown(stats)),
            Route("/cluster/statements", shown(statements)),
            Route("/cluster/history", shown(lambda seen: list(seen.points))),
            Route("/cluster/restart", restart, methods=["POST"]),
            Route("/cluster/scale", scale, methods=["POST"]),
            Route("/metrics", metrics),
            Route("/events", events),
            *(Route(path, _file(name)) for path, name in FILES.items()),
        ],
        middleware=[] if "*" in hosts else [Middleware(AllowedHosts, hosts=hosts)],
        exception_handlers={HTTPException: _refused},
    )


class _Viewers:
    """The open pages, each fed once a second."""

    def __init__(self) -> None:
        self.number = 0

    async def stream(self, desk: Desk) -> AsyncIterator[bytes]:
        self.number += 1
        try:
            yield b"retry: 1000\n\n" + _event("history", list(desk.observatory.points))
            while not desk.closing.is_set():
                yield _event("stats", stats(desk.observatory) | {"points": list(desk.observatory.points)[-3:]})
                with suppress(TimeoutError):
                    await asyncio.wait_for(desk.closing.wait(), TICK.total_seconds())
        finally:
            self.number -= 1


class ShieldedFromBugs:
    """Keeps an error of a route from reaching the client: one line, and the details go to the log."""

    def __init__(self, app: ASGIApp, report: Callable[[Exception], None]) -> None:
        self._app = app
        self._report = report

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            self._report(error)
            if scope["type"] == "http" and not begun:
                detail = "the status port failed; the details are in the service's log"
                await problem(500, "INTERNAL_SERVER_ERROR", detail, HEADERS)(scope, receive, send)


async def _wanted_workers(request: Request) -> int | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY:
            return None
    try:
        workers = json.loads(body)["workers"]
    except (ValueError, TypeError, KeyError):
        return None
    fits = isinstance(workers, int) and not isinstance(workers, bool) and 1 <= workers <= MOST_WORKERS
    return workers if fits else None


async def _refused(request: Request, error: Exception) -> Response:
    """No such path, or not this method."""
    if isinstance(error, HTTPException) and error.status_code == 404:
        detail = f"there is nothing at {request.url.path[:200]}; the page is at /, figures are at /cluster/stats"
        return problem(404, "NOT_FOUND", detail, HEADERS)
    return await problem_of_http(request, error)


def _file(name: str) -> Callable[[Request], Any]:
    content, media_type = (PAGE / name).read_bytes(), TYPES[Path(name).suffix]

    async def serve(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return serve


def _event(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, HEADERS, media_type="application/json")
