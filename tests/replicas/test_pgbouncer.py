"""Through a real PgBouncer that pools transactions: three sessions for everybody."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from cache.second_level import SecondLevelCache
from cache.server import Server
from db.database import Database, PoolLimits
from db.migrate import upgrade
from db.where import statement
from domain.errors import Unavailable
from loaders.unit_of_work import unit_of_work
from tests.cluster.conftest import free_port
from tests.coherence.valkey import private_valkey
from tests.coherence.worker import PATIENT, RENAME, Worker, fill
from tests.deploy.engines import Program, until
from tests.deploy.tools import needed
from tests.kit.databases import Databases
from tests.kit.proxy import Proxy

INI = """
[databases]
* = host={folder} port=5432 user=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
"""


@pytest.fixture
async def bouncer(databases: Databases, tmp_path: Path) -> AsyncIterator[int]:
    """The port of a PgBouncer before the servers for tests."""
    program = needed("pgbouncer", "`apt-get install pgbouncer` installs it")
    folder, port = make_url(databases.url_of("rollcall")).query["host"], free_port()
    ini = tmp_path / "pgbouncer.ini"
    ini.write_text(INI.format(folder=folder, port=port))
    for above in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        above.chmod(0o711)
    running = Program([program, str(ini)], port, tmp_path / "pgbouncer.log", unprivileged=True)
    running.start()

    async def answers() -> bool:
        (await asyncio.open_connection("127.0.0.1", port))[1].close()
        return True

    await until(answers, "PgBouncer answers")
    yield port
    await running.end(signal.SIGTERM)


@pytest.fixture
async def filled(databases: Databases) -> AsyncIterator[str]:
    """The name of a database with twenty employees."""
    url = await asyncio.to_thread(databases.new, "coherence", fill)
    yield str(make_url(url).database)
    await asyncio.to_thread(databases.drop, url)


def address(port: int, name: str, query: str = "?pgbouncer=on") -> str:
    return f"postgresql+asyncpg://app@127.0.0.1:{port}/{name}{query}"


async def test_readers_writers_and_the_drain_share_three_sessions(bouncer: int, filled: str) -> None:
    """Twelve connections at once: no statement ends up in the session of another."""
    database = Database(address(bouncer, filled), PoolLimits(size=12))
    with private_valkey() as valkey:
        cache = SecondLevelCache(Server(f"unix://{valkey.path}", PATIENT), "test")
        worker = Worker(database, cache, Proxy(""), Proxy(""))
        assert await worker.drain()

        async def write(employee: int) -> None:
            for number in range(5):
                await worker.rename(f"{employee}.{number}", employee)
                assert await worker.name(employee) == f"{employee}.{number}"

        async def read(employee: int) -> None:
            for number in range(5):
                sql = "SELECT id, CAST(:text AS text), CAST(:number AS int) FROM employee WHERE id = :id"
                async with database.read() as connection:
                    asked = {"text": f"{employee}-{number}", "number": number, "id": employee}
                    found = await connection.records(statement(f"own{employee % 3}", sql), **asked)
                assert found == [(employee, f"{employee}-{number}", number)]

        async def drain() -> None:
            for _ in range(5):
                await worker.drain()

        await asyncio.gather(*(write(n) for n in range(1, 9)), *(read(n) for n in range(9, 21)), drain())
        assert await worker.drain() and await worker.name() == "1.4" and await worker.from_cache()
        await cache.close()
    await database.close()


async def test_writers_that_have_every_session_can_switch_the_cache_off_beside_them(
    databases: Databases, bouncer: int, filled: str
) -> None:
    """Or all would wait for a session until PostgreSQL ends theirs, for as long as Redis is away."""
    database = Database(address(bouncer, filled), PoolLimits(size=12), aside_url=databases.url_of(filled))
    with private_valkey() as valkey:
        cache = SecondLevelCache(Server(f"unix://{valkey.path}", PATIENT), "test")
        worker = Worker(database, cache, Proxy(""), Proxy(""))
        assert await worker.drain()
        valkey.kill()
        await asyncio.gather(*(worker.rename("new", employee) for employee in range(1, 9)))
        assert [await worker.name(employee) for employee in range(1, 9)] == ["new"] * 8
        await cache.close()
    await database.close()


async def test_migrations_that_start_at_once_wait_for_each_other(databases: Databases, bouncer: int) -> None:
    empty = Database(databases.url_of("rollcall"))
    name = f"test_{os.getpid()}_bouncer"
    async with empty.read() as connection:
        await connection.records(statement("create", f'CREATE DATABASE "{name}" TEMPLATE template1'))
    try:
        await asyncio.gather(*(upgrade(address(bouncer, name)) for _ in range(2)))
        migrated = Database(address(bouncer, name))
        async with unit_of_work(migrated, SecondLevelCache(None)) as unit:
            await unit.connection.records(statement("state", "SELECT declaration FROM cache_state"))
        await migrated.close()
    finally:
        await empty.close()
        await asyncio.to_thread(databases.drop, databases.url_of(name))


async def test_limits_hold_for_every_transaction(bouncer: int, filled: str) -> None:
    database = Database(address(bouncer, filled), PoolLimits(statement=timedelta(milliseconds=500)))
    async with database.transaction() as connection:
        assert await connection.records(statement("show", "SHOW idle_in_transaction_session_timeout")) == [("1min",)]
    with pytest.raises(Unavailable, match="took too long"):
        async with database.read() as reader:
            await reader.records(statement("sleep", "SELECT pg_sleep(5)"))
    async with database.transaction() as connection:
        await connection.execute(RENAME, name="new", id=1)
    await database.close()


async def test_without_being_told_it_is_refused_in_one_line(bouncer: int, filled: str) -> None:
    database = Database(address(bouncer, filled, ""))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await database.ping()
    await database.close()
