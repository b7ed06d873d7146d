"""A request ends in time: at its deadline or when its client leaves the work is cancelled, a mutation is not."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from tests.web.asgi import Client, Reply, sample_app
from tests.web.sample_schema import SampleContext
from tests.web.serving import served
from web.execution import RequestFacts
from web.http_settings import HttpSettings

SHORT = HttpSettings.of(request_timeout=timedelta(seconds=0.25))  # enough to begin on a busy machine
LONG_S = 10.0


@pytest.fixture
def context() -> SampleContext:
    return SampleContext()


def asked(client: Client, query: str) -> asyncio.Task[Reply | None]:
    """A request under way."""
    lines = {"Content-Type": "application/json", "Accept": "application/graphql-response+json"}
    body = b'{"query": "%b"}' % query.encode()
    return asyncio.create_task(client.call("POST", "/graphql", headers=lines, body=body))


@pytest.mark.parametrize("query", ["{held}", "mutation {held}", "{hello a: held b: held}"])
async def test_the_deadline_cancels_resolvers(context: SampleContext, query: str) -> None:
    reply = await Client(sample_app(context, http=SHORT)).query(query)
    assert (reply.status, reply.code, "data" in reply.json) == (504, "REQUEST_TIMEOUT", False)
    assert reply.message == "the request took longer than 0.25 s and was cancelled; ask for less at once"
    assert (context.entered.is_set(), context.cancelled.is_set(), context.finished.is_set()) == (True, True, False)


async def test_the_deadline_holds_while_the_context_is_made() -> None:
    async def wait_for_ever(facts: RequestFacts) -> object:
        await asyncio.Event().wait()
        return None

    for query in ("{hello}", 'mutation {setHello(text: "x")}'):
        reply = await Client(sample_app(http=SHORT, given={"context_factory": wait_for_ever})).query(query)
        assert (reply.status, reply.code) == (504, "REQUEST_TIMEOUT")


async def test_the_deadline_holds_while_a_body_comes() -> None:
    client = Client(sample_app(http=SHORT))
    nothing_yet: list[bytes] = []
    reply = await client.reply("POST", "/graphql", headers={"Content-Type": "application/json"}, body=nothing_yet)
    assert (reply.status, reply.code) == (504, "REQUEST_TIMEOUT")


async def test_the_context_learns_the_deadline() -> None:
    seen: list[float] = []

    async def look(facts: RequestFacts) -> object:
        seen.append(facts.deadline - asyncio.get_running_loop().time())
        return None

    await Client(sample_app(given={"context_factory": look})).query("{hello}")
    assert 25 < seen[0] <= 30


async def test_a_timeout_of_the_resolvers_own_is_a_bug_and_not_the_deadline() -> None:
    async def time_out(facts: RequestFacts) -> object:
        raise TimeoutError

    with capture_logs():
        for query in ("{hello}", 'mutation {setHello(text: "x")}'):
            reply = await Client(sample_app(given={"context_factory": time_out})).query(query)
            assert (reply.status, reply.code) == (500, "INTERNAL_SERVER_ERROR")


async def test_a_query_ends_when_its_client_leaves(context: SampleContext) -> None:
    client = Client(sample_app(context))
    with capture_logs() as logs:
        request = asked(client, "{held}")
        await context.entered.wait()
        client.leave.set()
        assert await asyncio.wait_for(request, LONG_S) is None
    assert (context.cancelled.is_set(), context.finished.is_set()) == (True, False)
    [entry] = logs
    assert (entry["event"], entry["disconnected"], "status" in entry) == ("request", True, False)


async def test_a_mutation_goes_on_when_its_client_leaves(context: SampleContext) -> None:
    client = Client(sample_app(context))
    request = asked(client, "mutation {held}")
    await context.entered.wait()
    client.leave.set()
    context.release.set()
    reply = await asyncio.wait_for(request, LONG_S)
    assert reply is not None
    assert reply.json == {"data": {"held": "done"}}


async def test_a_mutation_outlives_its_request_and_the_service_waits_for_it(context: SampleContext) -> None:
    app = sample_app(context)
    async with app.router.lifespan_context(app):
        request = asked(Client(app), "mutation {held}")
        await context.entered.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        asyncio.get_running_loop().call_soon(context.release.set)
    assert (context.finished.is_set(), context.cancelled.is_set()) == (True, False)


async def test_nothing_runs_on_after_the_answer(context: SampleContext) -> None:
    with capture_logs():
        reply = await Client(sample_app(context)).query("{held crashOnceAnotherIsHeld}")
    assert (reply.code, reply.json["data"]) == ("INTERNAL_SERVER_ERROR", None)
    assert context.cancelled.is_set()


@pytest.mark.parametrize("kind", ["query", "mutation"])
async def test_a_closed_connection(context: SampleContext, kind: str) -> None:
    body = b'{"query": "%b {held}"}' % kind.encode()
    head = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    async with served(sample_app(context)) as port, asyncio.timeout(LONG_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head % len(body) + body)
        await context.entered.wait()
        writer.close()
        await writer.wait_closed()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)  # answered after the other's end was seen
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        if kind == "query":
            await context.cancelled.wait()
        context.release.set()
        if kind == "mutation":
            await context.finished.wait()
    assert context.cancelled.is_set() == (kind == "query")
    assert context.finished.is_set() == (kind == "mutation")
