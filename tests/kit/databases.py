"""Databases for tests on one private PostgreSQL and Valkey: templates made once, copies that live as long as a test.

The servers live in .data/test of the checkout and are leased, so several pytest processes share them.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import count
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url

from db.embedded import EmbeddedServers, lease
from db.embedded.lease import CHECKOUT, FOR_TESTS
from db.migrate import upgrade
from db.tags import declaration_hash

DATA = CHECKOUT / ".data" / "test"
MIGRATIONS = CHECKOUT / "db" / "migrations" / "versions"
TEMPLATE_LOCK = 7300
Fill = Callable[[str], Awaitable[None]]


class Databases:
    """Creates databases on the leased server; names carry the process, so that what a killed one left is found."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self.redis_url = servers.redis_url
        self._url = servers.database_url
        self._numbers = count(1)
        self._template_by_name: dict[str, str] = {}

    def url_of(self, name: str) -> str:
        """The address of a database."""
        return re.sub(r"/rollcall\?", f"/{name}?", self._url)

    def new(self, template: str = "", fill: Fill | None = None) -> str:
        """The address of a new migrated database; with `fill`, a copy of the template that `fill` filled once."""
        source = self._migrated() if fill is None else self._filled(template, fill)
        return self.url_of(asyncio.run(self._copy(source)))

    def run_in(self, url: str, sql: str) -> None:
        """Run a statement in a database that `new` made."""
        asyncio.run(_run_in(url, sql))

    def drop(self, url: str) -> None:
        """Drop a database that `new` made."""
        asyncio.run(self._run(f'DROP DATABASE IF EXISTS "{_name_in(url)}" WITH (FORCE)'))

    def drop_own(self) -> None:
        """Drop everything that this process made, and what dead ones left."""
        asyncio.run(self._drop_where(lambda pid: pid == os.getpid() or not Path(f"/proc/{pid}").exists()))

    def _migrated(self) -> str:
        """The template of this state of the migrations; it outlives the process."""
        name = f"migrated_{_state_of_migrations()}"
        if name not in self._template_by_name:
            asyncio.run(self._make_template(name))
            self._template_by_name[name] = name
        return name

    def _filled(self, template: str, fill: Fill) -> str:
        if template not in self._template_by_name:
            name = asyncio.run(self._copy(self._migrated()))
            asyncio.run(_call(fill, self.url_of(name)))
            self._template_by_name[template] = name
        return self._template_by_name[template]

    async def _make_template(self, name: str) -> None:
        connection = await _connect(self._url)
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", TEMPLATE_LOCK)
            if await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
                return
            draft = f"draft_{os.getpid()}"
            await connection.execute(f'DROP DATABASE IF EXISTS "{draft}" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{draft}" TEMPLATE template1')
            await upgrade(self.url_of(draft))
            await connection.execute(f'ALTER DATABASE "{draft}" RENAME TO "{name}"')
        finally:
            await connection.close()

    async def _copy(self, source: str) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        await self._run(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return name

    async def _run(self, sql: str) -> None:
        connection = await _connect(self._url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def _drop_where(self, wanted: Callable[[int], bool]) -> None:
        connection = await _connect(self._url)
        try:
            for record in await connection.fetch("SELECT datname FROM pg_database WHERE datname ~ '^(test|draft)_'"):
                if wanted(int(record["datname"].split("_")[1])):
                    await connection.execute(f'DROP DATABASE IF EXISTS "{record["datname"]}" WITH (FORCE)')
        finally:
            await connection.close()


@contextmanager
def leased_databases() -> Iterator[Databases]:
    """The servers for tests, held until the end."""
    with lease(DATA, postgres_settings=FOR_TESTS) as servers:
        databases = Databases(servers)
        databases.drop_own()
        try:
            yield databases
        finally:
            databases.drop_own()


async def _call(fill: Fill, url: str) -> None:
    await fill(url)


async def _run_in(url: str, sql: str) -> None:
    connection = await _connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    found = make_url(url)
    return await asyncpg.connect(host=str(found.query["host"]), port=5432, user=found.username, database=found.database)


def _name_in(url: str) -> str:
    return str(make_url(url).database)


def _state_of_migrations() -> str:
    """Migrations, the declaration of tags, and the month, since the first migration makes the partitions around it."""
    digest = hashlib.blake2b(f"{date.today():%Y-%m}{declaration_hash()}".encode(), digest_size=6)
    for path in sorted(MIGRATIONS.glob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
