"""Subscriptions over HTTP: a stream for who names it, and for nothing but a subscription."""

import asyncio
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.kit.small_company import HR, INES, MANAGER
from tests.mutations.changing import employee
from tests.responses.service import Service
from tests.subscriptions.clients import streaming
from tests.subscriptions.conftest import Stage
from tests.web.asgi import Client
from web import event_stream

IN_NOW = "subscription($every: Int) { todayChanged(minIntervalMs: $every) { inNow } }"
URQL = (  # of @urql/core 5, for a query and for a subscription
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed",
    "text/event-stream, multipart/mixed",
)


async def test_events_as_they_come(fresh_stage: Stage) -> None:
    stage, service = fresh_stage, fresh_stage.service
    async with streaming(stage.port, IN_NOW, await service.token(HR), variables={"every": 250}) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["cache-control"] == "no-store"
        assert stream.headers["x-accel-buffering"] == "no"
        assert await stream.event() == ("next", {"data": {"todayChanged": {"inNow": 3}}})
        await stage.beat.all_wait()
        assert stage.beat.intervals == [timedelta(milliseconds=250)]
        await service.change("checkIn", HR, employeeId=employee(INES))
        await stage.beat.strike()
        assert await stream.event() == ("next", {"data": {"todayChanged": {"inNow": 4}}})
        assert service.live.open == 1
    await stage.beat.all_wait(0)
    async with asyncio.timeout(30):
        while service.live.open:
            await asyncio.sleep(0)


async def test_the_last_event_is_an_error(fresh_stage: Stage) -> None:
    stage, service = fresh_stage, fresh_stage.service
    async with streaming(stage.port, IN_NOW, await service.token(MANAGER)) as stream:
        await stream.event()
        await stage.beat.all_wait()
        headers = {"Authorization": f"Bearer {await service.token(MANAGER)}"}
        await service.client.reply("POST", "/auth/logout", headers=headers)
        await stage.beat.strike(0)
        kind, told = await stream.event() or ("", {})
        assert kind == "next"
        assert [error["extensions"]["code"] for error in told["errors"]] == ["UNAUTHENTICATED"]
        assert await stream.event() == ("complete", None)
        assert await stream.event() is None


async def test_silence_is_filled(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SILENCE", timedelta(milliseconds=1))
    async with streaming(stage.port, IN_NOW, await stage.service.token(HR)) as stream:
        assert (await stream.event() or ("",))[0] == "next"
        assert await stream.event() == ("alive", None)
        assert stage.service.live.open == 1


@pytest.mark.parametrize("accept", URQL)
async def test_a_subscription_becomes_a_stream_whatever_else_is_accepted(stage: Stage, accept: str) -> None:
    async with streaming(stage.port, IN_NOW, await stage.service.token(HR), accept=accept) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_query_never_becomes_a_stream(stage: Stage) -> None:
    async with streaming(stage.port, "{ __typename }", None, accept=URQL[0]) as stream:
        assert stream.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
        assert await stream.body() == {"data": {"__typename": "Query"}}
    async with streaming(stage.port, "{ __typename }", None, accept=URQL[1]) as stream:
        assert stream.status == 406
        assert (await stream.body())["errors"][0]["extensions"]["code"] == "NOT_ACCEPTABLE"


async def test_a_stream_can_be_asked_for_by_get(stage: Stage) -> None:
    query = urlencode({"query": IN_NOW, "variables": '{"every": 100}'})
    headers = f"Accept: text/event-stream\r\nAuthorization: Bearer {await stage.service.token(HR)}"
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(f"GET /graphql?{query} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode())
    async with asyncio.timeout(30):
        assert await reader.readuntil(b"}\n\n")
        assert (await reader.readline()).strip() == b""  # the end of the first chunk
    writer.close()
    reply = await stage.service.client.reply("HEAD", f"/graphql?{query}", headers={"Accept": "text/event-stream"})
    assert reply.status == 405


async def test_a_client_that_takes_nothing_is_given_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SLOWEST", timedelta(milliseconds=1))
    application, never = service.app, asyncio.Event()

    async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_wait(message: Message) -> None:
            if message.get("more_body"):
                await never.wait()
            await send(message)

        await application(scope, receive, send_or_wait)

    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {await service.token(HR)}"}
    async with asyncio.timeout(30):
        reply = await Client(stuck).post({"query": IN_NOW}, headers=headers)
    assert (reply.status, reply.body, service.live.open) == (200, b"", 0)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/*", "text/event-stream;q=0, */*"])
async def test_who_does_not_name_the_stream_is_told_to(stage: Stage, accept: str) -> None:
    async with streaming(stage.port, IN_NOW, await stage.service.token(HR), accept=accept) as stream:
        [error] = (await stream.body())["errors"]
        assert error["extensions"]["code"] == ("NOT_ACCEPTABLE" if accept == "text/*" else "BAD_REQUEST")


@pytest.mark.parametrize(
    ("query", "token", "status", "code"),
    [
        (IN_NOW, None, 401, "UNAUTHENTICATED"),
        (IN_NOW, "no", 401, "UNAUTHENTICATED"),
        ("subscription {", None, 400, "GRAPHQL_PARSE_FAILED"),
        ("subscription { todayChanged { in } }", None, 400, "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_fails_at_once_is_an_answer_like_any_other(
    stage: Stage, query: str, token: str | None, status: int, code: str
) -> None:
    async with streaming(stage.port, query, token) as stream:
        assert stream.status == status
        assert [error["extensions"]["code"] for error in (await stream.body())["errors"]] == [code]
    assert stage.service.live.open == 0


async def test_a_worker_with_enough_subscriptions_says_so(stage: Stage) -> None:
    stage.service.live._most = 0
    async with streaming(stage.port, IN_NOW, await stage.service.token(HR)) as stream:
        assert (stream.status, stream.headers["retry-after"]) == (503, "5")
