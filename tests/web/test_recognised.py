"""What is remembered of requests by their bytes: queries only, within a bound, and never who asked."""

from tests.web.asgi import Client, sample_app
from tests.web.sample_schema import schema
from web.execution import Execution, PreparedOperation
from web.graphql_request import from_body
from web.http_settings import LimitSettings
from web.recognised import Bytes, RecognisedRequests

JSON = "application/json"


def prepared(execution: Execution, asked: Bytes) -> PreparedOperation:
    found = execution.prepare(from_body(asked.raw), asked.media_type)
    assert isinstance(found, PreparedOperation)
    return found


def test_the_same_bytes_come_to_the_same_operation() -> None:
    execution = Execution(schema, LimitSettings())
    known = RecognisedRequests(execution.documents)
    asked = Bytes(True, JSON, b'{"query":"query A { __typename } query B { __typename }","operationName":"B"}')
    assert known.get(asked) is None
    first = prepared(execution, asked)
    known.keep(asked, first)
    assert known.get(asked) == first and known.bytes == asked.size_bytes
    assert known.get(asked._replace(media_type="application/graphql-response+json")) is None
    assert known.get(asked._replace(is_body=False)) is None
    assert known.get(asked._replace(raw=asked.raw + b" ")) is None


def test_mutations_and_large_requests_are_read_anew() -> None:
    execution = Execution(schema, LimitSettings())
    known = RecognisedRequests(execution.documents, most_bytes=1_000_000)
    for raw in (b'{"query":"mutation { __typename }"}', b'{"query":"{ __typename }"%s}' % (b" " * 1_000)):
        asked = Bytes(True, JSON, raw)
        known.keep(asked, prepared(execution, asked))
    assert (len(known), known.bytes) == (0, 0)


def test_the_least_recently_asked_leave_when_the_bound_is_passed() -> None:
    execution = Execution(schema, LimitSettings())
    asked = [Bytes(True, JSON, b'{"query":"{ __typename }","variables":{"n":%d}}' % n) for n in range(100, 358)]
    known = RecognisedRequests(execution.documents, most_bytes=256 * asked[0].size_bytes)
    operation = prepared(execution, asked[0])
    for one in asked[:256]:
        known.keep(one, operation)
    assert known.get(asked[0]) is not None
    for one in asked[256:]:
        known.keep(one, operation)
    assert len(known) == 256 and known.bytes == 256 * asked[0].size_bytes
    assert [known.get(one) is None for one in asked[:4]] == [False, True, True, False]


async def test_what_was_recognised_is_answered_as_it_was_read_first() -> None:
    client = Client(sample_app())
    for body in (b'{"query":"{ __typename }"}', b'{"query":"{ nothing }"}', b'{"query":1}', b'{"query":"{"}'):
        first, second = await client.post(body), await client.post(body)
        assert (first.status, first.body) == (second.status, second.body)
