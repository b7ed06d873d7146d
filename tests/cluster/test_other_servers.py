"""`server:app` under a server that others bring: hypercorn's own command line, as the README says."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest
from sqlalchemy.engine import make_url

from tests.cluster.conftest import ROOT, free_port
from tests.kit.databases import Databases
from web.signing_key import kept_key


@pytest.fixture
async def unmigrated(databases: Databases) -> AsyncIterator[str]:
    name = f"test_{os.getpid()}_unmigrated"
    server = make_url(databases.url_of("rollcall"))
    connection = await asyncpg.connect(host=server.query["host"], user=server.username, database=server.database)
    await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template1')
    await connection.close()
    url = databases.url_of(name)
    yield url
    await asyncio.to_thread(databases.drop, url)


@asynccontextmanager
async def hypercorn(port: int, **environment: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hypercorn", "server:app", "--bind", f"127.0.0.1:{port}"),
        cwd=ROOT,
        env=os.environ | {name: str(value) for name, value in environment.items()},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


async def said(process: asyncio.subprocess.Process, end: str) -> str:
    """What it said up to a line that contains `end`."""
    assert process.stderr is not None
    lines = ""
    while end not in lines:
        line = (await process.stderr.readline()).decode()
        assert line, lines
        lines += line
    return lines


async def test_hypercorn_serves_the_application_and_migrates_first(
    databases: Databases, unmigrated: str, tmp_path: Path
) -> None:
    kept_key(key := tmp_path / "auth.key")
    port = free_port()
    async with hypercorn(
        port, DATABASE_URL=unmigrated, REDIS_URL=databases.redis_url, AUTH_PRIVATE_KEY_FILE=key
    ) as process:
        await said(process, "Running on")
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/graphql?query={__typename}")).json() == {"data": {"__typename": "Query"}}


async def test_what_is_wrong_ends_hypercorn_and_is_said(databases: Databases, company_url: str) -> None:
    async with hypercorn(
        free_port(), DATABASE_URL=company_url, REDIS_URL=databases.redis_url, AUTH_PRIVATE_KEY="no"
    ) as process:
        _, errors = await process.communicate()
    assert b"AUTH_PRIVATE_KEY: needed an unencrypted Ed25519 private key (PEM or JWK), got something else" in errors
