"""What one request makes the layers do, counted exactly: the whole application in one process, one request at a time.

python -m bench.counts EMPLOYEES TODAY; DATABASE_URL, REDIS_URL and the signing key come from the environment.
SQL statements are recorded by telemetry, commands to Redis are read off the wire by MONITOR.
"""

import asyncio
import hashlib
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, cast

import httpx2
import msgspec
from starlette.applications import Starlette

import cache
from bench.figures import Counts, CountsByState
from bench.ground import FORGET, KEPT, PREFIX, BenchFailed, marker
from bench.queries import NamedQuery, named_queries
from cluster.worker import collect_garbage_rarely
from ops.demo import DEMO_PASSWORD
from schema.root import api
from telemetry.recording import recording
from web.app import create_app
from web.resources import Resources
from web.settings import Settings

BENCH_USER: Final = "hr@rollcall.test"
LATEST_IN_MINUTE_S: Final = 3
LONGEST_LINE: Final = 64 * 1024 * 1024
SCRIPT_BY_SHA: Final[Mapping[str, str]] = {
    hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest(): path.stem
    for path in (Path(cache.__file__).parent / "lua").glob("*.lua")
}
_COMMAND: Final = re.compile(rb'^\+[\d.]+ \[\d+ (?!lua\]).*?\] "(\w+)"(?: "([^"]*)")?')


class Wire:
    """Two raw connections to Redis: one sees every command that anybody sends, the other sends ours."""

    def __init__(self, seen: asyncio.StreamReader, asked: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._seen, self._asked, self._writer = seen, asked, writer

    async def send(self, *words: str) -> bytes:
        """Send a command; returns the first line of its answer, and the second of a text."""
        self._writer.write(f"*{len(words)}\r\n".encode())
        self._writer.writelines(f"${len(word.encode())}\r\n{word}\r\n".encode() for word in words)
        answer = await self._asked.readline()
        return await self._asked.readline() if answer[:1] == b"$" and answer != b"$-1\r\n" else answer

    async def commands(self) -> Counter[str]:
        """What was sent since the last call, scripts by their names."""
        until, found = marker(), Counter[str]()
        await self.send("ECHO", until)
        while True:
            if not (line := await self._seen.readline()):
                raise BenchFailed("Redis closed the connection that watches it")
            if until.encode() in line:
                return found
            if command := _COMMAND.match(line):
                found[_name(command[1].decode().upper(), (command[2] or b"").decode())] += 1


def _name(command: str, first: str) -> str:
    return SCRIPT_BY_SHA.get(first, first) if command == "EVALSHA" else command


@asynccontextmanager
async def wire(socket: str) -> AsyncIterator[Wire]:
    """Open both connections."""
    seen, monitor = await asyncio.open_unix_connection(socket, limit=LONGEST_LINE)
    asked, writer = await asyncio.open_unix_connection(socket)
    try:
        monitor.write(b"MONITOR\r\n")
        await seen.readline()
        yield Wire(seen, asked, writer)
    finally:
        monitor.close()
        writer.close()


class Probe:
    """The application, signed in, with its cache and the wire beneath it."""

    def __init__(self, client: httpx2.AsyncClient, resources: Resources, wire: Wire) -> None:
        self._client, self._resources, self._wire = client, resources, wire

    async def sign_in(self) -> None:
        """As the demo's HR, who sees everybody."""
        form = {"grant_type": "password", "username": BENCH_USER, "password": DEMO_PASSWORD}
        answer = await self._client.post("/auth/token", data=form)
        self._client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"

    async def fence(self) -> None:
        """Wait until the drain has opened the cache."""
        async with asyncio.timeout(10):
            while await self._wire.send("EXISTS", f"{PREFIX}:f") != b":1\r\n":  # noqa: ASYNC110 (it is not ours)
                await asyncio.sleep(0.005)

    async def counts_of(self, query: NamedQuery) -> CountsByState:
        """Both states; the first request of all parses the document and loads the scripts."""
        await _early_in_the_minute()
        await self._counted(query)
        await self._wire.send("EVAL", FORGET, str(len(KEPT)), *KEPT)
        cold = await self._counted(query)
        return CountsByState(cold, await self._counted(query))

    async def _counted(self, query: NamedQuery) -> Counts:
        await self.fence()
        await self._wire.commands()
        headers = {"content-type": "application/json"}
        with recording() as made:
            answer = await self._client.post("/graphql", content=query.body, headers=headers)
        await self._resources.cache.settle()
        seen = await self._wire.commands()
        if answer.status_code != 200 or "errors" in answer.json():
            raise BenchFailed(f"{query.name}: {answer.text[:500]}")
        if (reads := seen["MGET"] + seen["look"]) != len(made.redis):
            raise BenchFailed(f"{query.name}: telemetry has {len(made.redis)} reads of Redis, the wire {reads}")
        return Counts(made.sql, reads, seen["lease"], seen["fill"])


async def _early_in_the_minute() -> None:
    """Answers that move with time are cached by the minute: its turn between two requests would look like a miss."""
    left_s = 60 - datetime.now(UTC).second
    if left_s <= LATEST_IN_MINUTE_S:
        await asyncio.sleep(left_s)


def application(settings: Settings, resources: Resources) -> Starlette:
    """The service in this process."""
    return create_app(
        schema=api,
        settings=settings,
        context_factory=resources.context,
        cached=resources.cached_execution,
        readiness=resources.readiness(),
        routes=resources.routes(),
        lifespan=resources.lifespan,
    )


async def counts(employees: int, today: date) -> dict[str, CountsByState]:
    """The counts of every named query."""
    collect_garbage_rarely()  # as the workers do
    settings = Settings.from_environment()
    resources = Resources(settings)
    app = application(settings, resources)
    socket = cast("str", settings.redis.shared_url).removeprefix("unix://")
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        wire(socket) as opened,
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        probe = Probe(client, resources, opened)
        await probe.fence()
        await probe.sign_in()
        return {query.name: await probe.counts_of(query) for query in named_queries(employees, today)}


if __name__ == "__main__":
    found = asyncio.run(counts(int(sys.argv[1]), date.fromisoformat(sys.argv[2])))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
