"""Sending bytes over ASGI, and the JSON problem (RFC 9457) of everything that is not GraphQL."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from domain.errors import ClientError, Forbidden, RollcallError, Unauthenticated, Unavailable, UserProblem
from web.request_errors import RequestError

WHOLE: Final = "rollcall.whole"
"""In a message `http.response.start`: one `http.response.body`, as long as the head says, is all that follows."""
LEAVING: Final = "rollcall.leaving"
"""In the scope of a request: an asyncio.Event that is set when its worker was told to go."""

Line = tuple[bytes, bytes]


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: str | None, headers: Iterable[Line], *, is_head: bool = False
) -> None:
    """Send a whole answer; of HEAD and of 304 nothing but the head, which must not say that the answer is empty."""
    lines = list(headers)
    if content_type and status != HTTPStatus.NOT_MODIFIED:
        lines.append(header_line("content-type", content_type))
    if status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        lines.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": lines, WHOLE: True})
    await send({"type": "http.response.body", "body": b"" if is_head else body})


def header_lines(headers: Mapping[str, str]) -> tuple[Line, ...]:
    """Headers as ASGI wants them."""
    return tuple(header_line(name, value) for name, value in headers.items())


@lru_cache(maxsize=256)
def header_line(name: str, value: str) -> Line:
    """A header as ASGI wants it."""
    return name.lower().encode("latin-1"), value.encode("latin-1")


def problem(status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """An RFC 9457 problem."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail}
    return Response(orjson.dumps(body), status, headers, media_type="application/problem+json")


def internal_error_message(request_id: str) -> str:
    """All that a client learns about a bug."""
    return f"Internal error; quote request id {request_id}"


async def problem_of_http(request: Request, error: Exception) -> Response:
    """What the router refused: no such path, or not this method."""
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name
    headers = dict(error.headers or {})
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path[:200]}; the API is at /graphql"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(sorted(headers.get("Allow", "").split(", ")))  # Starlette joins a set
            detail = f"method: needed {headers['Allow'] or 'another'}, got {request.method[:20]}"
        case _:
            detail = error.detail
    return problem(error.status_code, code, detail, headers)


async def problem_of_rollcall(_: Request, error: Exception) -> Response:
    """One of our own errors, raised by a route that is not GraphQL."""
    assert isinstance(error, RollcallError)
    match error:
        case RequestError():
            return problem(error.status, error.code, error.message, error.headers)
        case Unauthenticated():
            return problem(401, error.code, error.message, {"WWW-Authenticate": "Bearer"})
        case Forbidden():
            return problem(403, error.code, error.message)
        case Unavailable():
            return problem(503, error.code, error.message, {"Retry-After": str(error.retry_after_s)})
        case ClientError() | UserProblem():
            return problem(400, error.code, error.message)
    raise error
