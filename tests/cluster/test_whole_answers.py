"""An answer that is handed over whole is, on the wire, what the two messages of ASGI make; only its way is shorter."""

import asyncio
import re
from typing import Any

import pytest

from cluster.http2 import polite_http2
from cluster.whole_answers import WholeStream
from tests.web.serving import served
from web.responses import WHOLE

CLOSE = "connection: close\r\n"
LINES = [(b"Content-Type", b"text/plain "), (b"etag", b'W/"1"')]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers /STATUS/LENGTH, whole when the query says so."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        return
    while (await receive()).get("more_body"):
        pass
    _, status, length = scope["path"].split("/")
    body = b"x" * int(length)
    extra = [(b"bad", b"two\r\nlines")] if b"bad" in scope["query_string"] else []
    headers = [*LINES, *extra, (b"content-length", b"%d" % len(body))]
    whole = {WHOLE: True} if b"whole" in scope["query_string"] else {}
    await send({"type": "http.response.start", "status": int(status), "headers": headers, **whole})
    if b"fails" in scope["query_string"]:
        return
    await send({"type": "http.response.body", "body": body})


async def answered(port: int, *requests: str) -> bytes:
    """All bytes that come back until the server closes the connection, without the time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        writer.write(request.encode())
    found = await reader.read()
    writer.close()
    return re.sub(rb"date: [^\r]*", b"date: now", found)


def request(method: str, target: str, version: str = "1.1", more: str = "") -> str:
    return f"{method} {target} HTTP/{version}\r\nhost: localhost\r\n{more}\r\n"


@pytest.mark.parametrize(
    ("method", "path", "version", "more"),
    [
        ("GET", "/200/5", "1.1", ""),
        ("GET", "/200/0", "1.1", ""),
        ("GET", "/200/70000", "1.1", ""),
        ("GET", "/503/5", "1.1", ""),
        ("GET", "/304/0", "1.1", ""),
        ("HEAD", "/200/5", "1.1", ""),
        ("GET", "/200/5", "1.1", CLOSE),
        ("GET", "/200/5", "1.0", ""),
        ("POST", "/200/5", "1.1", "content-length: 0\r\n"),
    ],
)
async def test_the_bytes_are_the_same(method: str, path: str, version: str, more: str) -> None:
    once = version == "1.0" or more == CLOSE
    with polite_http2():
        async with served(app) as port:  # type: ignore[arg-type]
            plain, whole = [
                await answered(
                    port,
                    request(method, f"{path}{query}", version, more),
                    *([] if once else [request("GET", f"/200/1{query}", more=CLOSE)]),
                )
                for query in ("", "?whole")
            ]
    assert whole == plain
    assert whole.startswith(b"HTTP/1.1 " + path.split("/")[1].encode())
    assert whole.count(b"HTTP/1.1 ") == (1 if once else 2)


async def test_the_last_request_of_a_connection_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypercorn.config.Config.keep_alive_max_requests", 2)
    with polite_http2():
        async with served(app) as port:  # type: ignore[arg-type]
            requests = [request("GET", f"/200/{number}?whole") for number in (1, 2, 3)]
            found = await answered(port, *requests)
    heads = [part for part in found.split(b"HTTP/1.1 ") if part]
    assert [b"connection: close" in head for head in heads] == [False, True]


@pytest.mark.parametrize("query", ["bad", "bad&whole", "fails&whole"])
async def test_a_head_that_must_not_leave_and_one_without_its_body_are_an_error(
    query: str, caplog: pytest.LogCaptureFixture
) -> None:
    with polite_http2():
        async with served(app) as port:  # type: ignore[arg-type]
            found = await answered(port, request("GET", f"/200/5?{query}"))
    assert found.startswith(b"HTTP/1.1 500 ")
    assert b"two" not in found
    assert ("Illegal header value" in caplog.text) == ("bad" in query)


async def test_only_whole_answers_go_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    ways: list[int] = []
    original = WholeStream._send_whole

    async def noted(self: WholeStream, head: Any, body: bytes) -> None:
        ways.append(len(body))
        await original(self, head, body)

    monkeypatch.setattr(WholeStream, "_send_whole", noted)
    with polite_http2():
        async with served(app) as port:  # type: ignore[arg-type]
            await answered(
                port,
                *(request("GET", f"/200/{target}") for target in ("3", "4?whole")),
                request("GET", "/200/5", more=CLOSE),
            )
    assert ways == [4]
