"""The routes of the GraphiQL page: the page, its bundled files and who may be tried out; the API is elsewhere."""

import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from web.proxies import from_this_machine

DIST = Path(__file__).parent / "graphiql" / "dist"
CONTENT_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
NO_DEMO: Mapping[str, object] = {"demoUsers": [], "demoPassword": None}
GUARDS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class DemoUser:
    """Somebody of the demo company whom the page offers to sign in as."""

    email: str
    label: str


def graphiql_routes(*, demo_users: Sequence[DemoUser], demo_password: str | None) -> list[BaseRoute]:
    """Give the routes of the page; outside the demo, and to other machines, there are no demo users and no password."""
    page = (DIST / "index.html").read_bytes()
    page_tag = f'"{hashlib.sha256(page).hexdigest()[:20]}"'
    asset_by_name = {path.name.removesuffix(".gz"): path for path in (DIST / "assets").glob("*.gz")}
    config = {"demoUsers": [asdict(user) for user in demo_users], "demoPassword": demo_password}

    async def show_page(request: Request) -> Response:
        headers = {**GUARDS, "Cache-Control": "no-cache", "ETag": page_tag}
        return _answer(request, page, headers, "text/html; charset=utf-8")

    async def show_config(request: Request) -> Response:
        shown: Mapping[str, object] = config if from_this_machine(request.scope) else NO_DEMO
        return JSONResponse(shown, headers={**GUARDS, "Cache-Control": "no-store"})

    async def show_asset(request: Request) -> Response:
        return await _asset(request, asset_by_name)

    return [
        Route("/graphiql", show_page),
        Route("/graphiql/config.json", show_config),
        Route("/graphiql/assets/{name}", show_asset),
    ]


async def _asset(request: Request, asset_by_name: Mapping[str, Path]) -> Response:
    """Answer one file of the bundle, as it is stored when the client takes gzip."""
    name = request.path_params["name"]
    path = asset_by_name.get(name)
    if path is None:
        raise HTTPException(404, f"GraphiQL has no file {name!r}: reload the page, it names the present ones.")
    gzipped = _accepts_gzip(request.headers.get("accept-encoding", ""))
    headers = {
        **GUARDS,
        "Cache-Control": "public, max-age=31536000, immutable",
        "ETag": f'"{path.name if gzipped else name}"',
        "Vary": "Accept-Encoding",
    }
    body = await run_in_threadpool(path.read_bytes)
    if gzipped:
        headers["Content-Encoding"] = "gzip"
    else:
        body = await run_in_threadpool(gzip.decompress, body)
    return _answer(request, body, headers, CONTENT_TYPES[Path(name).suffix])


def _answer(request: Request, body: bytes, headers: Mapping[str, str], content_type: str) -> Response:
    """Answer the body, or 304 to whoever has it."""
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers={**headers, "Content-Type": content_type})


def _accepts_gzip(accept_encoding: str) -> bool:
    """Tell whether gzip, or anything, is listed and not refused by q=0."""
    for entry in accept_encoding.lower().split(","):
        coding, _, parameter = entry.partition(";")
        if coding.strip() in ("gzip", "*"):
            return parameter.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
