"""Calls an ASGI application in this event loop, with the client's leaving under the test's control."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message
from strawberry import Schema

from tests.web.sample_schema import SampleContext, schema
from web.app import create_app
from web.environment import Part
from web.execution import RequestFacts
from web.settings import Settings


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["errors"][0]["extensions"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["errors"][0]["message"])


@dataclass
class Client:
    """Talks to one application; `leave` closes the connection of the request that is open."""

    app: ASGIApp
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes | list[bytes] = b""
    ) -> Reply | None:
        """The answer, None when there was none."""
        path, _, query = path.partition("?")
        lines = {"host": "localhost", **{name.lower(): value for name, value in (headers or {}).items()}}
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines.items()],
            "client": ("203.0.113.7", 50000),
            "server": ("localhost", 3002),
            "http_version": "1.1",
        }
        chunks = [body] if isinstance(body, bytes) else list(body)
        sent: list[Message] = []

        async def receive() -> Message:
            if chunks:
                chunk = chunks.pop(0)
                return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}
            await self.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        if not sent:
            return None
        given = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], given, b"".join(message.get("body", b"") for message in sent[1:]))

    async def reply(self, method: str, path: str, **given: Any) -> Reply:
        """The answer to a request that has one."""
        reply = await self.call(method, path, **given)
        assert reply is not None
        return reply

    async def post(self, body: object, *, headers: dict[str, str] | None = None) -> Reply:
        """POST /graphql with a body that is JSON already or is made so."""
        lines = {"Content-Type": "application/json", "Accept": "application/graphql-response+json", **(headers or {})}
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.reply("POST", "/graphql", headers=lines, body=raw)

    async def query(self, query: str, **more: object) -> Reply:
        """POST one operation."""
        return await self.post({"query": query, **more})


def settings_with(**parts: Part) -> Settings:
    """All settings at their defaults but for these parts."""
    given = {name: parts.get(name) or part() for name, part in Settings.part_types()}
    return Settings.model_validate(given)


def sample_app(
    context: SampleContext | None = None, *, of: Schema = schema, given: dict[str, Any] | None = None, **parts: Part
) -> Starlette:
    """The application over the sample schema; every request gets the same context."""

    async def make_context(facts: RequestFacts) -> SampleContext:
        made = context or SampleContext()
        made.request_id = facts.request_id
        return made

    options = {"context_factory": make_context, "readiness": {}, **(given or {})}
    return create_app(schema=of, settings=settings_with(**parts), **options)
