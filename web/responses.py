"""Sending an answer over ASGI, and the JSON problem of everything that is not GraphQL."""

from collections.abc import Mapping

import orjson
from starlette.types import Send

PROBLEM = "application/problem+json"


async def send_bytes(
    send: Send, status: int, body: bytes, content_type: str | None, headers: Mapping[str, str] | None = None
) -> None:
    """Send a whole answer."""
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()]
    if content_type:
        lines.append((b"content-type", content_type.encode("latin-1")))
    if status != 204:
        lines.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, value: object, headers: Mapping[str, str] | None = None) -> None:
    """Send a value as JSON."""
    await send_bytes(send, status, orjson.dumps(value), "application/json", headers)


async def send_problem(
    send: Send, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None
) -> None:
    """Send an RFC 9457 problem."""
    problem = {"type": "about:blank", "status": status, "code": code, "detail": detail}
    await send_bytes(send, status, orjson.dumps(problem), PROBLEM, headers)
