"""GraphQL over HTTP: parameters, media types, statuses, codes, masking."""

import json
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlencode

import pytest
from structlog.testing import capture_logs

from domain.errors import ErrorCode, Forbidden, RollcallError, Unauthenticated, Unavailable, UserProblem
from tests.web.asgi import Client, sample_app
from tests.web.sample_schema import schema
from web.documents import DocumentCache
from web.execution import RequestFacts
from web.http_settings import HttpSettings, LimitSettings

RESPONSE_JSON = "application/graphql-response+json; charset=utf-8"
LEGACY_JSON = "application/json; charset=utf-8"


@pytest.fixture
def client() -> Client:
    return Client(sample_app())


async def test_a_query(client: Client) -> None:
    reply = await client.query('query Two { hello echo(text: "é") }')
    assert (reply.status, reply.json) == (200, {"data": {"hello": "world", "echo": "é"}})
    assert reply.headers["content-type"] == RESPONSE_JSON
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["vary"] == "Accept"


async def test_variables_operation_name_and_extensions(client: Client) -> None:
    document = "query A($t: String!) { echo(text: $t) } query B { hello }"
    reply = await client.query(document, operationName="A", variables={"t": "x"}, extensions={"trace": 1}, other=1)
    assert reply.json == {"data": {"echo": "x"}}
    reply = await client.query(document, operationName="C")
    assert (reply.status, reply.code) == (400, "OPERATION_RESOLUTION_FAILURE")
    assert reply.message == "operationName: the document has no operation 'C'"
    reply = await client.query(document)
    assert reply.message == "operationName: needed one of the document's operations (A, B), got none"


async def test_get(client: Client) -> None:
    path = "/graphql?" + urlencode({"query": "query($t: String!) { echo(text: $t) }", "variables": '{"t": "x"}'})
    reply = await client.reply("GET", path)
    assert (reply.status, reply.json, reply.headers["content-type"]) == (200, {"data": {"echo": "x"}}, LEGACY_JSON)
    head = await client.reply("HEAD", path)
    assert (head.status, head.body, head.headers) == (200, b"", reply.headers | {"x-request-id": ANY})


async def test_a_mutation_needs_post(client: Client) -> None:
    mutation = 'mutation { setHello(text: "x") }'
    reply = await client.reply("GET", "/graphql?" + urlencode({"query": mutation}))
    assert (reply.status, reply.headers["allow"], reply.code) == (405, "POST", "METHOD_NOT_ALLOWED")
    assert (await client.query(mutation)).json == {"data": {"setHello": "x"}}


async def test_methods(client: Client) -> None:
    reply = await client.reply("DELETE", "/graphql")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    reply = await client.reply("OPTIONS", "/graphql")
    assert (reply.status, reply.headers["allow"], reply.body) == (204, "GET, HEAD, POST, OPTIONS", b"")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", 'the request has no body: needed a JSON object with a "query"'),
        (b"[]", 'the request body: needed a JSON object with a "query", got an array'),
        (b'"x"', 'the request body: needed a JSON object with a "query", got a string'),
        (b"{}", "query: needed a GraphQL document, got none"),
        (b'{"query": 7}', "query: needed a string, got a number"),
        (b'{"query": "{hello}", "variables": []}', "variables: needed an object, got an array"),
        (b'{"query": "{hello}", "operationName": {}}', "operationName: needed a string, got an object"),
        (b'{"query": "{hello}", "extensions": "x"}', "extensions: needed an object, got a string"),
        (b'{"query": "{hello}", "query": "{hello}"}', "query: given more than once"),
        (
            b'{"query": "{hello}", "variables": {"a": ' + b"[" * 80 + b"]" * 80 + b"}}",
            "the JSON is nested deeper than 64 levels",
        ),
    ],
)
async def test_bad_bodies(client: Client, body: bytes, message: str) -> None:
    reply = await client.post(body)
    assert (reply.status, reply.code, reply.message) == (400, "BAD_REQUEST", message)


async def test_broken_json(client: Client) -> None:
    for body in (b'{"query": ', b"\xff\xfe", b'{"query": "\xed\xa0\x80"}', b"\x00" * 40):
        reply = await client.post(body)
        assert (reply.status, reply.code) == (400, "BAD_REQUEST")
        assert reply.message.startswith("the request body is not JSON: ")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=x"]
)
async def test_content_type(client: Client, content_type: str) -> None:
    reply = await client.post({"query": "{hello}"}, headers={"Content-Type": content_type})
    assert (reply.status, reply.code) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert reply.message == f"Content-Type: needed application/json in UTF-8, got {content_type}"


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("application/json", 200, LEGACY_JSON),
        ("*/*", 200, LEGACY_JSON),
        ("application/*;q=0.5", 200, LEGACY_JSON),
        ("application/graphql-response+json, application/json", 200, RESPONSE_JSON),
        ("application/graphql-response+json;q=0.5, application/json", 200, LEGACY_JSON),
        ("text/html", 406, LEGACY_JSON),
        ("application/json;q=0", 406, LEGACY_JSON),
    ],
)
async def test_accept(client: Client, accept: str, status: int, content_type: str) -> None:
    reply = await client.post({"query": "{hello}"}, headers={"Accept": accept})
    assert (reply.status, reply.headers["content-type"]) == (status, content_type)


@pytest.mark.parametrize(("accept", "status"), [("application/json", 200), ("application/graphql-response+json", 400)])
async def test_status_of_request_errors_by_media_type(client: Client, accept: str, status: int) -> None:
    for query, code in (("{", "GRAPHQL_PARSE_FAILED"), ("{nope}", "GRAPHQL_VALIDATION_FAILED")):
        reply = await client.post({"query": query}, headers={"Accept": accept})
        assert (reply.status, reply.code, "data" in reply.json) == (status, code, False)
    variable = {"query": "query($t: String!) {echo(text: $t)}", "variables": {"t": 1}}
    reply = await client.post(variable, headers={"Accept": accept})
    assert (reply.status, reply.code, "data" in reply.json) == (status, "BAD_USER_INPUT", False)


async def test_suggestions_and_introspection_only_in_development() -> None:
    reply = await Client(sample_app()).query("{badInpu}")
    assert reply.message == "Cannot query field 'badInpu' on type 'Query'. Did you mean 'badInput'?"
    closed = Client(sample_app(http=HttpSettings.of(introspection=False)))
    assert (await closed.query("{badInpu}")).message == "Cannot query field 'badInpu' on type 'Query'."
    assert (await closed.query("{__schema{types{name}}}")).code == "GRAPHQL_VALIDATION_FAILED"
    assert (await closed.query("{__typename}")).json == {"data": {"__typename": "Query"}}


async def test_a_bug_is_masked_and_logged_once_with_the_request_id(client: Client) -> None:
    with capture_logs() as logs:
        reply = await client.post({"query": "{crash hello}"}, headers={"X-Request-Id": "abc-12345"})
    assert reply.json == {
        "errors": [
            {
                "message": "Internal error; quote request id abc-12345",
                "locations": [{"line": 1, "column": 2}],
                "path": ["crash"],
                "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "abc-12345"},
            }
        ],
        "data": {"crash": None, "hello": "world"},
    }
    assert reply.status == 200
    failures = [entry for entry in logs if entry["event"] == "resolver failed"]
    assert [(entry["path"], entry["request_id"], str(entry["exc_info"])) for entry in failures] == [
        ("crash", "abc-12345", "secret: hunter2")
    ]


async def test_a_value_of_ours_that_does_not_fit_its_type_is_a_bug(client: Client) -> None:
    with capture_logs() as logs:
        reply = await client.query("{tooBig}")
    assert (reply.code, reply.json["data"]) == ("INTERNAL_SERVER_ERROR", {"tooBig": None})
    assert [entry["path"] for entry in logs if entry["event"] == "resolver failed"] == ["tooBig"]


async def test_an_argument_that_turns_out_null_is_the_clients(client: Client) -> None:
    reply = await client.query('query($t: String = "x") {echo(text: $t)}', variables={"t": None})
    assert (reply.status, reply.code, reply.json["data"]) == (200, "BAD_USER_INPUT", None)


@pytest.mark.parametrize(
    ("query", "status", "extensions", "data"),
    [
        ("{badInput}", 200, {"code": "BAD_USER_INPUT"}, {"badInput": None}),
        (
            "{problem}",
            200,
            {"code": "BAD_USER_INPUT", "problem": "NOT_FOUND", "inputPath": ["input", "shiftId"]},
            {"problem": None},
        ),
        ("{private}", 401, {"code": "UNAUTHENTICATED"}, "absent"),
        ("{forbidden}", 403, {"code": "FORBIDDEN"}, "absent"),
        ("{unavailable}", 503, {"code": "SERVICE_UNAVAILABLE", "retryAfter": 7}, "absent"),
        ("{unavailablePart}", 200, {"code": "SERVICE_UNAVAILABLE", "retryAfter": 7}, {"unavailablePart": None}),
        ("{crashHard}", 200, {"code": "INTERNAL_SERVER_ERROR", "requestId": "abc-12345"}, None),
    ],
)
async def test_codes(client: Client, query: str, status: int, extensions: dict[str, Any], data: object) -> None:
    reply = await client.post({"query": query}, headers={"X-Request-Id": "abc-12345"})
    assert reply.status == status
    assert reply.json["errors"][0]["extensions"] == extensions
    assert reply.json.get("data", "absent") == data
    assert reply.headers.get("retry-after") == ("7" if status == 503 else None)
    assert reply.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


async def test_a_user_problem_that_no_mutation_caught_keeps_its_message_and_paths(client: Client) -> None:
    assert (await client.query("{a: problem hello}")).json == {
        "errors": [
            {
                "message": "no such shift",
                "locations": [{"line": 1, "column": 2}],
                "path": ["a"],
                "extensions": {"code": "BAD_USER_INPUT", "problem": "NOT_FOUND", "inputPath": ["input", "shiftId"]},
            }
        ],
        "data": {"a": None, "hello": "world"},
    }


@pytest.mark.parametrize(
    ("error", "status", "code", "header"),
    [
        (
            Unauthenticated("the token has expired"),
            401,
            "UNAUTHENTICATED",
            ("www-authenticate", 'Bearer error="invalid_token"'),
        ),
        (Forbidden("devices only"), 403, "FORBIDDEN", ("retry-after", None)),
        (UserProblem(ErrorCode.INVALID, "no such day", ["date"]), 400, "BAD_USER_INPUT", ("retry-after", None)),
        (Unavailable("no database", 3), 503, "SERVICE_UNAVAILABLE", ("retry-after", "3")),
        (RuntimeError("secret: hunter2"), 500, "INTERNAL_SERVER_ERROR", ("retry-after", None)),
        (RollcallError("secret"), 500, "INTERNAL_SERVER_ERROR", ("retry-after", None)),
    ],
)
async def test_errors_of_the_context(error: Exception, status: int, code: str, header: tuple[str, str | None]) -> None:
    async def refuse(facts: RequestFacts) -> object:
        raise error

    client = Client(sample_app(given={"context_factory": refuse}))
    with capture_logs():
        reply = await client.query("{hello}")
    assert (reply.status, reply.code, "data" in reply.json) == (status, code, False)
    assert reply.headers.get(header[0]) == header[1]
    assert b"secret" not in reply.body
    shown = reply.json["errors"][0]["extensions"].get("requestId")
    assert shown == (reply.headers["x-request-id"] if status == 500 else None)


async def test_the_context_is_made_from_the_facts_of_the_request() -> None:
    seen: list[RequestFacts] = []

    async def look(facts: RequestFacts) -> object:
        seen.append(facts)
        return None

    client = Client(sample_app(given={"context_factory": look}))
    await client.post(
        {"query": "query Who { hello }"}, headers={"X-Request-Id": "abc-12345", "Authorization": "Bearer t"}
    )
    [facts] = seen
    assert (facts.request_id, facts.client_host) == ("abc-12345", "203.0.113.7")
    assert (facts.operation_name, facts.operation_type.value) == ("Who", "query")
    assert facts.headers["authorization"] == "Bearer t"


async def test_a_body_that_is_too_large() -> None:
    client = Client(sample_app(limits=LimitSettings.of(body_bytes=1000)))
    lines = {"Content-Type": "application/json"}
    announced = await client.reply("POST", "/graphql", headers={**lines, "Content-Length": "1001"}, body=b"")
    chunked = await client.reply("POST", "/graphql", headers=lines, body=[b" " * 600, b" " * 401, b"never read"])
    for reply in (announced, chunked):
        assert (reply.status, reply.code) == (413, "PAYLOAD_TOO_LARGE")
        assert reply.message == "the request body is too large: at most 1,000 bytes are read"


@pytest.mark.parametrize("number", [2**63, 2**64, -(10**40)])
async def test_json_numbers_beyond_64_bits(client: Client, number: int) -> None:
    reply = await client.query(f"{{echoJson(value: {number})}}")
    assert json.loads(reply.body) == {"data": {"echoJson": number}}


async def test_an_answer_that_is_no_json_is_masked(client: Client) -> None:
    with capture_logs() as logs:
        reply = await client.post({"query": "{noJson}"}, headers={"X-Request-Id": "abc-12345"})
    assert (reply.status, reply.json) == (
        200,
        {
            "errors": [
                {
                    "message": "Internal error; quote request id abc-12345",
                    "extensions": {"code": "INTERNAL_SERVER_ERROR", "requestId": "abc-12345"},
                }
            ],
            "data": None,
        },
    )
    assert [entry["event"] for entry in logs] == ["answer could not be encoded", "request"]
    assert logs[1]["error_codes"] == ("INTERNAL_SERVER_ERROR",)


async def test_numbers_that_no_float_holds(client: Client) -> None:
    for number in ("1e999", "-1e999", "9" * 400):
        reply = await client.query(f"{{echoJson(value: {number})}}")
        assert (reply.status, reply.code) == (400, "GRAPHQL_VALIDATION_FAILED")
    assert reply.message == "needed a number within 1.8e308, got 99999999999999999..."


async def test_a_url_that_is_too_long(client: Client) -> None:
    reply = await client.reply("GET", "/graphql?query=" + "%20" * 6000)
    assert (reply.status, reply.code) == (414, "PAYLOAD_TOO_LARGE")


async def test_parsed_documents_are_kept_up_to_their_bound() -> None:
    documents = DocumentCache(schema._schema, LimitSettings.of(document_cache_bytes=5_000), introspection=True)
    first = documents.get("{a: hello}")
    assert documents.get("{a: hello}") is first
    for name in "bcd":
        documents.get(f"{{{name}: hello}}")
    assert (len(documents), documents.bytes) == (3, 3 * 1_600)
    assert documents.get("{a: hello}") is not first
