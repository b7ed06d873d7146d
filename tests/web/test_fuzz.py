"""No body, header or query string whatever gives a crash: every answer is data or an error with a code."""

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.web.asgi import Client, sample_app
from tests.web.fuzz_schema import schema
from tests.web.fuzzing import answered, bodies, documents, odd_headers
from tests.web.serving import served

PRINTED = schema.as_str()
JSON = {"content-type": "application/json"}
client = Client(sample_app(of=schema))


@given(body=st.binary(max_size=200), headers=odd_headers)
@settings(max_examples=100, deadline=None)
async def test_bytes(body: bytes, headers: dict[str, str]) -> None:
    await answered(client, "POST", "/graphql", headers=JSON | headers, body=body)


@given(body=bodies(PRINTED), headers=odd_headers | st.just({}))
@settings(max_examples=200, deadline=None)
async def test_json(body: bytes, headers: dict[str, str]) -> None:
    await answered(client, "POST", "/graphql", headers=JSON | headers, body=[body[:7], b"", body[7:]])


@given(document=documents(PRINTED))
@settings(max_examples=150, deadline=None)
async def test_documents_by_get(document: str) -> None:
    query = quote(document.encode(errors="surrogatepass"))
    await answered(client, "GET", f"/graphql?query={query}&operationName=&variables=%7B%7D")


@given(query_string=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
@settings(max_examples=50, deadline=None)
async def test_query_strings(query_string: str) -> None:
    await answered(client, "GET", f"/graphql?{query_string}")


NINES = b"9" * 5_000  # past the digits that Python's int() converts


@pytest.mark.parametrize(
    "body",
    [
        b'{"query": "{echo}", "query": "{echo}", "x": ' + NINES + b"}",
        b'{"query": "{json(value: ' + NINES + b')}"}',
        b'{"query": "{number(value: ' + NINES + b')}"}',
        b'{"query": "{number(ratio: ' + NINES + b')}"}',
        b'{"query": "{number(ratio: 1e999)}"}',
        b'{"query": "{ids(ids: [' + NINES + b'])}"}',
        b'{"query": "{node(id: ' + NINES + b') {id}}"}',
        b'{"query": "{node(id: 5) {... on Tree {children(first: ' + NINES + b') {id}}}}"}',
        b'{"query": "query($x: Int = ' + NINES + b') {number(value: $x)}"}',
        b'{"query": "query($x: JSON = [' + NINES + b']) {json(value: $x)}"}',
        b'{"query": "query($x: JSON) {json(value: $x)}", "variables": {"x": ' + NINES + b"}}",
        b'{"query": "query($x: Float!) {number(ratio: $x)}", "variables": {"x": 1e400}}',
        b'{"query": "query($x: [ID!]!) {ids(ids: $x)}", "variables": {"x": [' + NINES + b"]}}",
        b'{"query": "{echo(text: \\"\\\\ud800\\")}"}',
        b'{"query": "{echo(text: \\"\\\\u{10FFFF}\\\\u0000\\")}"}',
        b'{"query": "{json(value: ' + b"[" * 900 + b"]" * 900 + b')}"}',
        b'{"query": "{json(value: ' + b"[" * 300 + b"]" * 300 + b')}"}',
        b'{"query": "' + b"{node(id:1)" * 400 + b'"}',
        b'{"query": "' + b"#\\n" * 5_000 + b'"}',
        b'{"query": "{json(value: ' + b"{a: " * 199 + b"1" + b"}" * 199 + b')}"}',
        b'{"query": "query($x: JSON = ' + b"[" * 199 + b"]" * 199 + b') {json(value: $x)}"}',
        b'{"query": "query($x: ' + b"[" * 199 + b"Int" + b"]" * 199 + b') {json(value: $x)}"}',
        b'{"query": "{filtered(filter: ' + b"{inner: " * 195 + b"{}" + b"}" * 195 + b')}"}',
        b'{"query": "' + b"{... " * 149 + b"{__typename}" + b"}" * 149 + b'"}',
        b'{"query": "{days(period: {range: {from: \\"0001-01-01\\", to: \\"9999-12-31\\"}}) {id}}"}',
        b'{"query": "{days(period: {range: {from: \\"9999-99-99\\", to: \\"\\"}}) {id}}"}',
        b'{"query": "{days(period: {range: null, relative: \\"TODAY\\"}) {id}}"}',
        b'{"query": "fragment A on Query {...B} fragment B on Query {...A} {...A}"}',
        b'{"query": "{...A} fragment A on Query {...A}"}',
        b'{"query": "{filtered(filter: {inner: {inner: {ratio: null}}})}"}',
        b'{"query": "{__type(name: \\"' + b"x" * 100_000 + b'\\") {name}}"}',
        b'{"query": "type Query {x: Int}"}',
        b'{"query": "subscription {x}"}',
        b'{"query": "{echo(text: \\"' + b"x" * 5_000 + b'\\", wrong: 1)}"}',
    ],
    ids=range(34),
)
async def test_nasty_bodies(body: bytes) -> None:
    reply = await answered(client, "POST", "/graphql", headers=JSON, body=body)
    assert reply.status in (200, 400)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e9\r\n\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"POST /%ff%00/..%2f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"GET /graphql?query=%ff%00%7Becho HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /graphql?query=\xff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=range(8),
)
async def test_no_http_that_kills_the_server(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs() as logs:
        async with served(sample_app(of=schema)) as port, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            answer = await reader.read()
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            alive = await reader.read()
            writer.close()
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200"))
    assert alive.startswith(b"HTTP/1.1 200")
    assert b"Traceback" not in answer
    assert [entry for entry in logs if entry["event"] != "request"] == []
    assert caplog.records == []
