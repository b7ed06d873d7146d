"""The protocol graphql-transport-ws: its messages, its codes, and who may speak it."""

import asyncio
from datetime import timedelta
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from telemetry.counters import counters
from tests.kit.sequencer import within
from tests.kit.small_company import HR, MANAGER
from tests.subscriptions.clients import PROTOCOL, Closed, Refused, connected, streaming
from tests.subscriptions.conftest import Stage
from tests.web.serving import served
from web import graphql_socket

IN_NOW = "subscription { todayChanged { inNow } }"


async def closed(stage: Stage, *messages: dict[str, object] | str | bytes) -> tuple[int, str]:
    """How the server closes after these messages, whatever it says before."""
    async with connected(stage.port) as socket:
        for message in messages:
            if isinstance(message, dict):
                socket.say(**message)
            elif isinstance(message, str):
                socket.say_text(message)
            else:
                socket.say_bytes(message)
        with pytest.raises(Closed) as found:
            while True:
                await socket.hear()
    return found.value.code, found.value.reason


async def test_the_first_event_comes_at_once(stage: Stage) -> None:
    async with connected(stage.port) as socket:
        assert socket.subprotocol == PROTOCOL
        await socket.sign_in(await stage.service.token(HR))
        socket.subscribe(IN_NOW)
        assert await socket.next() == {"todayChanged": {"inNow": 3}}
        await stage.beat.all_wait()
        assert stage.beat.intervals == [timedelta(seconds=1)]
        assert stage.service.live.open == 1
        socket.say(type="complete", id="1")
        await stage.beat.all_wait(0)
        socket.subscribe(IN_NOW)  # the id may be used again
        assert await socket.next() == {"todayChanged": {"inNow": 3}}
    await stage.beat.all_wait(0)


async def test_a_query_is_answered_once(stage: Stage) -> None:
    async with connected(stage.port) as socket:
        await socket.sign_in(await stage.service.token(HR))
        socket.subscribe("query One { today { inNow } } query Two { me { email } }", operationName="Two")
        assert await socket.next() == {"me": {"email": HR}}
        assert await socket.hear() == {"type": "complete", "id": "1"}
    assert stage.service.live.open == 0


async def test_pings_are_answered(stage: Stage) -> None:
    async with connected(stage.port) as socket:
        socket.say(type="ping")
        assert await socket.hear() == {"type": "pong"}
        socket.say(type="pong")
        socket.say(type="ping", payload={"n": 1})
        assert await socket.hear() == {"type": "pong", "payload": {"n": 1}}


SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": IN_NOW}}
INIT = {"type": "connection_init"}


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        (["{"], 4400, "Invalid message: needed JSON"),
        (["[]"], 4400, "Invalid message: needed an object with a type"),
        ([b"{}"], 4400, "Invalid message: needed text, got bytes"),
        ([{"type": "next"}], 4400, "Invalid message: unknown type 'next'"),
        ([{**INIT, "payload": 1}], 4400, "Invalid message: the payload of connection_init needs to be an object"),
        ([{**INIT, "payload": {"authorization": 1}}], 4400, "Invalid message: Authorization needs to be a string"),
        ([INIT, {**SUBSCRIBE, "id": 1}], 4400, "Invalid message: the id needs to be a string"),
        (
            [INIT, {**SUBSCRIBE, "payload": None}],
            4400,
            "Invalid message: subscribe needs an id and a payload that is an object",
        ),
        ([SUBSCRIBE], 4401, "Unauthorized: connection_init comes first"),
        (
            [{**INIT, "payload": {"Authorization": "Bearer no"}}],
            4403,
            "Forbidden: the token is malformed: needed a signed JSON Web Token of three dot-separated parts",
        ),
        (
            [{**INIT, "payload": {"authorization": "no"}}],
            4403,
            "Forbidden: needed the header 'Authorization: Bearer <access token>', got something else",
        ),
        ([INIT, SUBSCRIBE, SUBSCRIBE], 4409, "Subscriber for 1 already exists"),
        ([INIT, INIT], 4429, "Too many initialisation requests"),
    ],
)
async def test_who_breaks_the_protocol_is_told_how(
    stage: Stage, messages: list[dict[str, object] | str | bytes], code: int, reason: str
) -> None:
    assert await closed(stage, *messages) == (code, reason)


async def test_who_says_nothing_is_closed(stage: Stage) -> None:
    socket = stage.service.app._socket  # type: ignore[attr-defined]
    socket.initialised_within = timedelta(milliseconds=1)
    assert await closed(stage) == (4408, "Connection initialisation timeout")


async def test_a_message_that_is_too_large(stage: Stage) -> None:
    assert await closed(stage, "x" * 1_000_001) == (1009, "message: at most 1,000,000 bytes allowed")


async def test_another_protocol_is_not_spoken(stage: Stage) -> None:
    async with connected(stage.port, subprotocols=["graphql-ws"]) as socket:
        assert socket.subprotocol is None
        with pytest.raises(Closed, match=f"4406 Subprotocol not acceptable: {PROTOCOL}"):
            await socket.hear()


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("subscription {", "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
        ("subscription { todayChanged { in } }", "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'in'"),
        ("mutation { checkIn(input: {}) { userErrors { message } } }", "BAD_REQUEST", "a mutation needs POST"),
        (
            "subscription { todayChanged(minIntervalMs: 99) { inNow } }",
            "BAD_USER_INPUT",
            "minIntervalMs: needed milliseconds from 100 to 3,600,000, got 99",
        ),
        (
            "subscription { todayChanged { onLeave(first: 500) { nodes { reports(first: 500) { nodes { id } } } } } }",
            "QUERY_TOO_COMPLEX",
            "cost",
        ),
    ],
)
async def test_what_is_wrong_ends_the_operation_alone(stage: Stage, query: str, code: str, message: str) -> None:
    async with connected(stage.port) as socket:
        await socket.sign_in(await stage.service.token(HR))
        socket.subscribe(query)
        found_code, found = await socket.error()
        assert (found_code, found[: len(message)]) == (code, message)
        socket.subscribe("{ __typename }")
        assert await socket.next() == {"__typename": "Query"}
    assert stage.service.live.open == 0


async def test_nobody_is_told_nothing(stage: Stage) -> None:
    async with connected(stage.port) as socket:
        await socket.sign_in(None)
        socket.subscribe(IN_NOW)
        code, message = await socket.error()
        assert (code, message[:13]) == ("UNAUTHENTICATED", "sign in first")


async def test_the_header_of_the_handshake_signs_in_as_well(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {await stage.service.token(MANAGER)}"}
    async with connected(stage.port, headers=headers) as socket:
        await socket.sign_in(None)
        socket.subscribe("{ me { email } }")
        assert await socket.next() == {"me": {"email": MANAGER}}


async def test_as_many_operations_as_the_limits_say(stage: Stage) -> None:
    async with connected(stage.port) as socket:
        await socket.sign_in(await stage.service.token(HR))
        for number in range(21):
            socket.subscribe(IN_NOW, str(number))
        heard = [await socket.hear() for _ in range(21)]
        [refused] = [message for message in heard if message["type"] == "error"]
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("20", "BAD_REQUEST")
        await stage.beat.all_wait(20)
        stage.service.live._most = 20
        async with connected(stage.port) as other:
            await other.sign_in(await stage.service.token(HR))
            other.subscribe(IN_NOW)
            assert await other.error() == (
                "SERVICE_UNAVAILABLE",
                "subscriptions: this worker has 20, as many as it takes; try again later",
            )
    async with asyncio.timeout(30):
        await stage.beat.all_wait(0)
    assert stage.service.live.open == 0


async def test_one_user_takes_no_place_of_others(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    live, before = stage.service.live, counters["subscription_events", "refused"]
    monkeypatch.setattr(live, "_most_of_user", 2)
    async with connected(stage.port) as socket, connected(stage.port) as other:
        await socket.sign_in(await stage.service.token(HR))
        await other.sign_in(await stage.service.token(MANAGER))
        for number in range(2):
            socket.subscribe(IN_NOW, str(number))
            await socket.next(str(number))
        socket.subscribe(IN_NOW, "third")
        told = ("TOO_MANY_SUBSCRIPTIONS", "subscriptions: at most 2 of one user at once allowed; end one first")
        assert await socket.error("third") == told
        socket.subscribe("{ __typename }", "query")
        assert await socket.next("query") == {"__typename": "Query"}
        assert (await socket.hear())["type"] == "complete"
        async with streaming(stage.port, IN_NOW, await stage.service.token(HR)) as stream:
            assert stream.status == 429
            [error] = (await stream.body())["errors"]
            assert (error["extensions"]["code"], error["message"]) == told
        other.subscribe(IN_NOW)
        await other.next()
        await stage.beat.all_wait(3)
        socket.say(type="complete", id="0")
        await stage.beat.all_wait(2)
        socket.subscribe(IN_NOW, "third")
        await socket.next("third")
        await stage.beat.all_wait(3)
    await stage.beat.all_wait(0)
    async with asyncio.timeout(10):
        while live.open:
            await asyncio.sleep(0)
    assert live._of_user == {}
    assert counters["subscription_events", "refused"] - before == 2


async def test_as_many_sockets_as_a_worker_takes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    application: graphql_socket.GraphQLSocket = stage.service.app._socket  # type: ignore[attr-defined]
    monkeypatch.setattr(application, "_most", 1)
    async with connected(stage.port) as socket:
        await socket.sign_in(None)
        assert application.open == 1
        with pytest.raises(Refused, match="503"):
            async with connected(stage.port):
                pass
    async with asyncio.timeout(10):
        while application.open:
            await asyncio.sleep(0)
    async with connected(stage.port) as socket:
        await socket.sign_in(None)


async def test_a_socket_on_which_nothing_runs_is_closed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    application: graphql_socket.GraphQLSocket = stage.service.app._socket  # type: ignore[attr-defined]
    token = await stage.service.token(HR)
    monkeypatch.setattr(application, "idle", timedelta(seconds=1))
    async with connected(stage.port) as busy, connected(stage.port) as idle:
        await busy.sign_in(token)
        busy.subscribe(IN_NOW)
        await busy.next()
        with pytest.raises(Closed, match="1000 nothing ran here for 1 s"):
            await idle.hear()
        busy.say(type="ping")
        assert await busy.hear() == {"type": "pong"}
        monkeypatch.setattr(application, "idle", timedelta(milliseconds=50))
        busy.say(type="complete", id="1")
        with pytest.raises(Closed, match="1000"):
            await busy.hear()


async def test_who_takes_no_answers_is_not_listened_to(stage: Stage) -> None:
    """Or what a client says without end would all be kept, with the task that waits to answer it."""
    socket: graphql_socket.GraphQLSocket = stage.service.app._socket  # type: ignore[attr-defined]
    most, taking, stuck, heard, told = socket.most_operations + 2, asyncio.Event(), asyncio.Event(), 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal heard
        heard += 1
        messages = {1: {"type": "websocket.connect"}, 2: said(**INIT), 1_003: {"type": "websocket.disconnect"}}
        return messages.get(heard) or said(type="subscribe", id=str(heard), payload={"query": "{"})

    async def send(message: Message) -> None:
        nonlocal told
        told += 1
        if told == 2 + most:
            stuck.set()
        if told > 2:  # accepted and acknowledged
            await taking.wait()

    scope = {"type": "websocket", "headers": [], "subprotocols": [PROTOCOL]}
    talking = asyncio.create_task(socket(scope, receive, send))
    await within(stuck.wait())
    assert heard == 2 + most
    taking.set()
    await talking
    assert heard == 1_003


def said(**message: object) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": orjson.dumps(message).decode()}


@pytest.mark.parametrize(
    ("origin", "opens"),
    [
        ("http://127.0.0.1:{port}", True),
        ("http://127.0.0.1:1", False),
        ("http://evil.test:{port}", False),
        ("null", False),
    ],
)
async def test_only_our_own_pages_open_sockets(stage: Stage, origin: str, opens: bool) -> None:
    headers = {"Origin": origin.format(port=stage.port)}
    if opens:
        async with connected(stage.port, headers=headers) as socket:
            await socket.sign_in(None)
        return
    with pytest.raises(Refused, match="403"):
        async with connected(stage.port, headers=headers):
            pass


async def test_a_host_that_is_not_ours_opens_nothing(stage: Stage) -> None:
    with pytest.raises(Refused, match="421"):
        async with connected(stage.port, host="evil.test"):
            pass


async def test_elsewhere_there_are_no_sockets(stage: Stage) -> None:
    async with served(stage.service.app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /graphiql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await reader.readline()).split()[1] == b"403"
        writer.close()


async def test_a_client_that_takes_nothing_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    application, never = stage.service.app, asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_wait(message: Message) -> None:
            if '"next"' in message.get("text", ""):
                await never.wait()
            await send(message)

        await application(scope, receive, send_or_wait if scope["type"] == "websocket" else send)

    async with served(stuck) as port, connected(port) as socket:  # type: ignore[arg-type]
        await socket.sign_in(await stage.service.token(HR))
        monkeypatch.setattr(graphql_socket, "SLOWEST", timedelta(milliseconds=1))  # nothing but `next` is sent now
        socket.subscribe(IN_NOW)
        with pytest.raises(Closed, match="1011 the client takes nothing: TimeoutError"):
            await socket.hear()
    assert stage.service.live.open == 0
