"""The real application over a small company: sign-in, HTTP, response cache and all, with a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from secrets import token_hex
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from pydantic import SecretStr
from sqlalchemy import text

from cache.server import CacheUnreachable, Server
from db.connection import Query
from domain.errors import Unavailable
from domain.ids import encode_id
from loaders.drain import TICK, drain_once
from loaders.unit_of_work import unit_of_work
from schema.root import api
from tests.kit.clock import Clock
from tests.kit.rows import Rows
from tests.web.asgi import Client, Reply, settings_with
from tests.web.auth.conftest import KEY
from web.app import create_app
from web.execution import Execution
from web.http_settings import AuthSettings
from web.live import Live
from web.resources import Resources, open_tokens
from web.settings import CacheSettings, DatabaseSettings, RedisSettings

PATIENCE_MS: Final = "10000"  # a busy machine must not open the breaker
NO_CHANGE: Final[Mapping[str, Any]] = {}
GRAPHQL: Final = "application/graphql-response+json"


class Service:
    """One process of the service; made by `open_service`."""

    def __init__(
        self,
        url: str,
        redis_url: str | None,
        clock: Clock,
        prefix: str,
        response_bytes: int,
        max_ages: str = "",
        patience_ms: str = PATIENCE_MS,
        pool: Mapping[str, Any] = NO_CHANGE,
    ) -> None:
        settings = settings_with(
            database=DatabaseSettings(DATABASE_URL=SecretStr(url), **pool),
            redis=RedisSettings(REDIS_URL=redis_url and SecretStr(redis_url), REDIS_TIMEOUT_MS=patience_ms),
            cache=CacheSettings(CACHE_PREFIX=prefix, RESPONSE_CACHE_BYTES=response_bytes, RESPONSE_MAX_AGE=max_ages),
            auth=AuthSettings(AUTH_PRIVATE_KEY=SecretStr(orjson.dumps(KEY.as_dict(private=True)).decode())),
        )
        self.clock = clock
        self.prefix = prefix
        self.resources = Resources(settings, clock)
        self._tokens = open_tokens(settings)
        self.app = create_app(
            schema=api,
            settings=settings,
            context_factory=self.resources.context,
            cached=self.resources.cached_execution,
            readiness={},
            routes=self.resources.routes(),
            live=self._followed,
        )
        self.client = Client(self.app)
        self.users: dict[str, tuple[int, int]] = {}

    def _followed(self, execution: Execution) -> Live:
        self.live = self.resources.live(execution)
        return self.live

    @property
    def responses(self) -> Any:
        """The response cache."""
        return self.resources._responses

    # ------------------------------------------------------------------------------------------------------- asking

    async def ask(
        self,
        query: str,
        user: str | None = None,
        /,
        variables: Mapping[str, Any] | None = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The answer to an operation of a signed-in user, or of nobody."""
        lines = {"Accept": GRAPHQL, **(headers or {})}
        if user is not None:
            lines["Authorization"] = f"Bearer {await self.token(user)}"
        if method == "POST":
            return await self.client.post({"query": query, "variables": dict(variables or {})}, headers=lines)
        asked = urlencode({"query": query, "variables": orjson.dumps(dict(variables or {})).decode()})
        return await self.client.reply(method, f"/graphql?{asked}", headers=lines)

    async def data(self, query: str, user: str | None = None, /, variables: Mapping[str, Any] | None = None) -> Any:
        """The data of an operation that must not fail."""
        found = (await self.ask(query, user, variables)).json
        assert "errors" not in found, found
        return found["data"]

    async def change(self, field: str, user: str, /, selection: str = "", **input: Any) -> Any:
        """Run a mutation that must succeed."""
        type_name = {"revokeRole": "GrantInput", "grantRole": "GrantInput", "checkIn": "CheckInput"}.get(
            field, f"{field[0].upper()}{field[1:]}Input".removeprefix("Save")
        )
        query = (
            f"mutation($input: {type_name}!) {{ {field}(input: $input) {{ {selection} userErrors {{ message }} }} }}"
        )
        found = (await self.data(query, user, {"input": input}))[field]
        assert found["userErrors"] == [], found
        return found

    async def token(self, email: str, now: datetime | None = None) -> str:
        """An access token of a user, of the epoch that the user had when first asked for."""
        user_id, epoch = await self._user(email)
        return self._tokens.issue(user_id, epoch, now or self.clock()).access_token

    async def user_id(self, email: str) -> str:
        """The global id of a user."""
        return encode_id("User", (await self._user(email))[0])

    def sign_in_again(self, email: str) -> None:
        """Let the next token be of the user's epoch of then."""
        self.users.pop(email, None)

    async def _user(self, email: str) -> tuple[int, int]:
        if email not in self.users:
            sql = "SELECT id, token_epoch FROM app_user WHERE email = CAST(:email AS citext)"
            async with self.resources.database.read() as connection:
                [self.users[email]] = await connection.records(Query("kit", text(sql)), email=email)
        return self.users[email]

    # ------------------------------------------------------------------------------------------------------- writing

    @asynccontextmanager
    async def rows(self) -> AsyncIterator[Rows]:
        """Write rows in a unit of work."""
        async with unit_of_work(self.resources.database, self.resources.cache) as unit:
            yield Rows(unit.connection)

    async def settle(self) -> None:
        """Wait until everything that was to be stored in Redis is stored."""
        await self.resources.cache.settle()

    async def close(self) -> None:
        """Close every connection."""
        await self.resources.cache.close()
        await self.resources.database.close()
        await self.resources._client.aclose()
        self.resources._passwords.close()


def status(reply: Reply) -> str:
    """What Cache-Status says of our cache."""
    return reply.headers["cache-status"].removeprefix("rollcall; ")


def redis(service: Service) -> Server:
    """Redis as the service sees it."""
    server = service.resources.cache.server
    assert server is not None
    return server


async def entry_names(service: Service, kind: str = "") -> list[str]:
    """The names of entries of a kind, or of all."""
    found = await redis(service).ask("KEYS", f"{service.prefix}:e:{kind and kind + '@'}*")
    return sorted(name.decode() for name in found.value)


async def _drain_until(stop: asyncio.Event, service: Service) -> None:
    stopping = asyncio.create_task(stop.wait())
    while not stopping.done():
        with suppress(CacheUnreachable, Unavailable):
            await drain_once(service.resources.database, service.resources.cache)
        await asyncio.wait({stopping}, timeout=TICK.total_seconds())


@asynccontextmanager
async def open_service(
    url: str,
    redis_url: str | None,
    clock: Clock,
    *,
    prefix: str = "",
    response_bytes: int = 32_000_000,
    max_ages: str = "",
    patience_ms: str = PATIENCE_MS,
    pool: Mapping[str, Any] = NO_CHANGE,
    drains: bool = True,
) -> AsyncIterator[Service]:
    """A service whose cache is kept coherent; without `redis_url` it is the truth, since it caches nothing."""
    prefix = prefix or f"test-{token_hex(6)}"
    service = Service(url, redis_url, clock, prefix, response_bytes, max_ages, patience_ms, pool)
    stop, drain = asyncio.Event(), None
    if redis_url and drains:
        assert await drain_once(service.resources.database, service.resources.cache), "another process leads the drain"
        drain = asyncio.create_task(_drain_until(stop, service))
    try:
        yield service
    finally:
        stop.set()
        if drain:
            await drain
        await service.close()
