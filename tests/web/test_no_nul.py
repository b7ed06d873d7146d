"""The character NUL in a text of a request: refused with the name of the input, wherever it stands."""

import json
from urllib.parse import urlencode

import pytest

from tests.web.asgi import Client, sample_app

NEEDED = "needed a text without the character NUL (\\u0000), got 'a\\x00b'"


@pytest.mark.parametrize(
    ("variables", "where", "path"),
    [
        ({"text": "a\0b"}, "text", ["text"]),
        ({"input": {"items": [{}, {"note": "a\0b"}]}}, "input.items[1].note", ["input", "items", "1", "note"]),
        ({"filter": {"search": "\\u0000"}, "ids": ["a\0b"]}, "ids[0]", ["ids", "0"]),
    ],
)  # fmt: skip
async def test_in_variables(variables: dict[str, object], where: str, path: list[str]) -> None:
    client = Client(sample_app())
    body = {"query": "query($text: String!) { echo(text: $text) }", "variables": variables}
    url = "/graphql?" + urlencode({"query": body["query"], "variables": json.dumps(variables)})
    for reply in (await client.post(body), await client.reply("GET", url)):
        assert (reply.status, reply.code, reply.message) == (400, "BAD_USER_INPUT", f"{where}: {NEEDED}")
        assert reply.json["errors"][0]["extensions"]["inputPath"] == path


@pytest.mark.parametrize(
    ("query", "where"),
    [
        (r'{ echo(text: "a\u0000b") }', "text"),
        (
            r'{ people { nodes { attendance(period: {range: {from: "x", to: "a\u0000b"}}) { name } } } }',
            "period.range.to",
        ),
    ],
)
async def test_in_literals(query: str, where: str) -> None:
    reply = await Client(sample_app()).post({"query": query})
    assert (reply.code, reply.message) == ("BAD_USER_INPUT", f"{where}: {NEEDED}")


async def test_the_escape_of_a_backslash_is_no_nul() -> None:
    reply = await Client(sample_app()).post(rb'{"query": "{ echo(text: \"\\\\u0000\") }"}')
    assert reply.json == {"data": {"echo": "\\u0000"}}
    body = {"query": "query($text: String!) { echo(text: $text) }", "variables": {"text": "\\u0000"}}
    assert (await Client(sample_app()).post(body)).json == {"data": {"echo": "\\u0000"}}
