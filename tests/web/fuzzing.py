"""Requests of every unreasonable kind, and what no answer to them may be."""

import re
from typing import Any

import orjson
from hypothesis import strategies as st
from hypothesis_graphql import from_schema, nodes
from structlog.testing import capture_logs

from tests.web.asgi import Client, Reply
from web.graphql_request import PARAMETERS

STATUSES = {200, 204, 400, 401, 403, 405, 406, 413, 414, 415, 421}
TOKENS = (
    *("{", "}", "(", ")", "[", "]", ":", "=", "!", "|", "&", "@", "$", "...", ",", "#x\n", '"', '"""', "\\", "\ufeff"),
    *(
        "query",
        "mutation",
        "subscription",
        "fragment",
        "on",
        "null",
        "true",
        "__typename",
        "__schema",
        "__type",
        "name",
    ),
    *("echo", "people", "nodes", "first", "$x", "@skip(if: $x)", "@include(if: true)", "@defer", "@stream", "...F"),
    *("0", "-1", "1e999", "9" * 40, "9" * 5000, '"\\u{110000}"', '"\\ud800"', "\x00", "é", "😀"),
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.sampled_from(TOKENS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
token_soups = st.lists(st.sampled_from(TOKENS) | st.text(max_size=5), max_size=30).map(" ".join)
header_values = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
literals = st.text().map(nodes.String) | st.integers().map(nodes.Int) | st.floats(allow_nan=False).map(nodes.Float)
odd_headers = st.dictionaries(
    st.sampled_from(
        ("accept", "authorization", "content-encoding", "content-length", "content-type", "origin", "x-request-id")
    ),
    header_values
    | st.sampled_from(
        ("application/json", "application/graphql-response+json", "*/*;q=nan", "a/b;q=1e9", ";;=", "-1", "9" * 5000)
    ),
    max_size=3,
)


def documents(schema: str) -> st.SearchStrategy[str]:
    """Valid documents, torn ones and soups of tokens."""
    scalars = set(re.findall(r"^scalar (\w+)", schema, re.MULTILINE))
    valid = from_schema(schema, custom_scalars=dict.fromkeys(scalars, literals))
    return valid | st.builds(_torn, valid, st.integers(0, 400), st.integers(0, 40), token_soups) | token_soups


def bodies(schema: str) -> st.SearchStrategy[bytes]:
    """JSON objects with the parameters of a request, of right and wrong types, and other JSON."""
    parameters = st.fixed_dictionaries(
        {"query": documents(schema) | json_values},
        optional=dict.fromkeys(PARAMETERS[1:], json_values)
        | {"variables": st.dictionaries(st.sampled_from(("x", "first", "0")), json_values, max_size=3) | json_values},
    )
    return (parameters | json_values).map(_json)


def _torn(document: str, start: int, length: int, soup: str) -> str:
    return document[:start] + soup + document[start + length :]


def _json(value: object) -> bytes:
    """JSON of anything: orjson refuses what is beyond 64 bits or no Unicode."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        return repr(value).replace("'", '"').encode(errors="surrogatepass")


async def answered(client: Client, method: str, path: str, **given: Any) -> Reply:
    """The answer to a request, which is never a crash."""
    with capture_logs() as logs:
        reply = await client.reply(method, path, **given)
    assert [entry["event"] for entry in logs] == ["request"], logs
    assert reply.status in STATUSES, reply
    assert b"Traceback" not in reply.body
    assert b"INTERNAL_SERVER_ERROR" not in reply.body
    if reply.body:
        assert {"data", "errors"} & reply.json.keys(), reply
    return reply
