"""Each limit to the unit: the last document that passes, the first that does not, and what it is told."""

from typing import Any

import pytest

from tests.web.asgi import Client, sample_app
from web.http_settings import LimitSettings


def client(**limits: int) -> Client:
    return Client(sample_app(limits=LimitSettings.of(**limits)))


FRIEND = "{people(first: 1) {nodes {...A}}} fragment A on Person {friends {...B}} fragment B on Person {name}"


@pytest.mark.parametrize(
    ("limit", "value", "query"),
    [
        ("depth", 2, "{people {endCursor}}"),
        ("depth", 4, FRIEND),
        ("depth", 3, "{... on Query {people {... {nodes {... on Person {name}}}}}}"),
        ("aliases", 2, "{a: hello b: hello}"),
        ("aliases", 3, "{people {nodes {...A ...A boss {...A}} x: endCursor}} fragment A on Person {n: name}"),
        ("directives", 2, "{hello @skip(if: false) ... @include(if: true) {hello}}"),
        ("directives", 2, "{...A @include(if: true)} fragment A on Query {hello @skip(if: false)}"),
        ("duplicates", 2, "{hello hello hello}"),
        ("duplicates", 1, "{a: hello a: hello hello}"),
        ("duplicates", 4, "{people {nodes {...A boss {...A}}}} fragment A on Person {name name name}"),
        ("root_fields", 3, "{hello people {nodes {name} endCursor} ...A} fragment A on Query {hello}"),
        ("root_fields", 2, 'mutation {a: setHello(text: "a") b: setHello(text: "b")}'),
        ("cost", 30, "{people(first: 15) {nodes {name}}}"),
    ],
)
async def test_a_limit(limit: str, value: int, query: str) -> None:
    reply = await client(**{limit: value}).query(query)
    assert (reply.status, reply.json.keys()) == (200, {"data"})
    maximum = value - 1
    reply = await client(**{limit: maximum}).query(query)
    assert reply.status == 400
    [error] = reply.json["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": limit, "maximum": maximum, "value": value}
    words = limit.replace("_", " ")
    assert error["message"].startswith(f"{words}: at most {maximum} allowed, this document has {value}; ")


async def test_tokens() -> None:
    limited = client(tokens=10)
    assert (await limited.query("{a: hello b: hello hello hello}")).json["data"]["b"] == "world"
    reply = await limited.query("{a: hello b: hello c: hello}")
    assert (reply.status, reply.code) == (400, "QUERY_TOO_COMPLEX")
    assert reply.message == "tokens: at most 10 allowed, this document has more; send less at once"
    assert (await limited.query("#\n" * 20 + "{hello}")).code == "QUERY_TOO_COMPLEX"


async def test_a_value_nested_past_the_parser() -> None:
    reply = await client().query("{echoJson(value: " + "[" * 300 + "]" * 300 + ")}")
    assert (reply.code, reply.json["errors"][0]["extensions"]["limit"]) == ("QUERY_TOO_COMPLEX", "depth")


async def test_fragments_that_double_are_counted_and_not_expanded() -> None:
    fragments = " ".join(
        f"fragment F{n} on Person {{a: boss {{...F{n + 1}}} b: boss {{...F{n + 1}}}}}" for n in range(60)
    )
    query = f"{{people {{nodes {{...F0}}}}}} {fragments} fragment F60 on Person {{name}}"
    reply = await client(depth=100).query(query)
    [error] = reply.json["errors"]
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": "aliases", "maximum": 100, "value": 2**53}
    assert (
        error["message"]
        == "aliases: at most 100 allowed, this document has over 10^12; split the operation, or use a list field"
    )


async def test_a_selection_deeper_than_any_setting() -> None:
    query = "{people {nodes {name " + "boss {" * 160 + "name" + "}" * 160 + "}}}"
    reply = await client(depth=100).query(query)
    assert (reply.status, reply.code) == (400, "QUERY_TOO_COMPLEX")


async def test_every_operation_of_a_document_keeps_the_limits_but_only_the_chosen_one_costs() -> None:
    document = "query A {people(first: 30) {nodes {name}}} query B {hello}"
    limited = client(cost=50)
    assert (await limited.query(document, operationName="B")).json == {"data": {"hello": "world"}}
    assert (await limited.query(document, operationName="A")).code == "QUERY_TOO_COMPLEX"
    deep = "query A {people {nodes {name}}} query B {hello}"
    assert (await client(depth=2).query(deep, operationName="B")).code == "QUERY_TOO_COMPLEX"


@pytest.mark.parametrize(
    ("variables", "cost"), [({}, None), ({"n": 25}, None), ({"n": 26}, 52), ({"n": 10**15}, 2 * (2**31 - 1))]
)
async def test_the_cost_follows_the_variables_of_each_request(variables: dict[str, Any], cost: int | None) -> None:
    limited = client(cost=50)
    reply = await limited.query("query($n: Int = 10) {people(first: $n) {nodes {name}}}", variables=variables)
    if cost is None:
        assert reply.json == {"data": {"people": {"nodes": [{"name": "Ada"}]}}}
    else:
        assert reply.json["errors"][0]["extensions"] == {
            "code": "QUERY_TOO_COMPLEX",
            "limit": "cost",
            "maximum": 50,
            "value": cost,
        }
        assert reply.message == (
            f"cost: at most 50 allowed, this document has {cost:,};"
            " ask for smaller pages (`first`) or fewer nested lists"
        )


async def test_a_refusal_is_the_same_every_time() -> None:
    limited = client(aliases=0)
    replies = [await limited.query("{a: hello}") for _ in range(3)]
    assert [reply.body for reply in replies] == [replies[0].body] * 3
    assert replies[0].code == "QUERY_TOO_COMPLEX"


async def test_older_clients_are_refused_with_200() -> None:
    reply = await client(aliases=0).post({"query": "{a: hello}"}, headers={"Accept": "application/json"})
    assert (reply.status, reply.code) == (200, "QUERY_TOO_COMPLEX")


@pytest.mark.parametrize("extra", [0, 1])
async def test_body_bytes(extra: int) -> None:
    body = b'{"query": "{hello}"}'.ljust(1_000 + extra)
    reply = await client(body_bytes=1_000).post(body)
    assert reply.status == (413 if extra else 200)
