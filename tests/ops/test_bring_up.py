"""What a start does to the database before it serves and beside it: everything once, and nothing a second time."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from db.database import Database
from db.demo import advance_demo, demo_company
from db.embedded.lease import CHECKOUT
from db.migrate import newest_migration
from db.migrated import is_migrated, newest_file
from ops import bring_up
from telemetry.recording import recording
from tests.kit.databases import Databases
from web.settings import Settings

WARM = ["alive", "has_migrations", "standing", "demo_is_inhabited", "demo_company"]
"""The statements of a second start, up to the moment at which workers may serve: none of them writes."""


@pytest.fixture(scope="module")
def url(databases: Databases) -> Iterator[str]:
    found = databases.new()
    yield found
    databases.drop(found)


@pytest.fixture(autouse=True)
def small_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring_up, "EMPLOYEES", 12)
    monkeypatch.setattr(bring_up, "DAYS", 3)


@pytest.fixture
async def database(url: str) -> AsyncIterator[Database]:
    found = Database(url)
    yield found
    await found.close()


@pytest.fixture
def settings(url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", url)
    return Settings.from_environment()


async def statements(settings: Settings) -> tuple[list[str], list[str]]:
    """What a start asks of PostgreSQL before it is ready, and after."""
    until_ready: list[int] = []
    with recording() as made:
        await bring_up.bring_up(settings, demo=True, ready=lambda: until_ready.append(len(made.sql)))
    (ready,) = until_ready
    return made.sql[:ready], made.sql[ready:]


async def filled_until(database: Database) -> datetime:
    async with database.read() as connection:
        company = await demo_company(connection)
    assert company and company.filled_until
    return company.filled_until


async def test_a_second_start_writes_nothing_before_it_is_ready(settings: Settings, database: Database) -> None:
    before, _ = await statements(settings)
    assert "demo_begin" in before and "demo_advance" in before
    filled = await filled_until(database)
    assert await statements(settings) == (WARM, ["demo_company", "script", "demo_lock", "demo_company"])
    assert await filled_until(database) == filled


async def test_an_older_company_is_brought_up_to_date_after_the_start(settings: Settings, database: Database) -> None:
    await statements(settings)
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        company = await demo_company(connection)
        assert company is not None
        await advance_demo(connection, company.planned_until, now - timedelta(hours=30))
    before, after = await statements(settings)
    assert before == WARM
    assert after[:3] == ["demo_company", "script", "demo_lock"] and after[-1] == "demo_advance"
    assert await filled_until(database) >= now


async def test_a_second_start_loads_neither_migrations_nor_demo(settings: Settings, url: str) -> None:
    await statements(settings)
    code = (
        "import sys; from ops import bring_up; sys.argv.append('demo');"
        "bring_up._ready = lambda: print(*sys.modules, flush=True); bring_up.main()"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=CHECKOUT, stdin=pipe, stdout=pipe)
    assert process.stdin and process.stdout
    process.stdin.write(json.dumps({"DATABASE_URL": url}).encode() + b"\n")
    loaded = set((await process.stdout.readline()).decode().split())
    assert await process.wait() == 0
    assert "db.migrated" in loaded
    assert (
        loaded & {"alembic", "redis", "strawberry", "starlette", "db.migrate", "ops.demo", "ops.demo_command"} == set()
    )


async def test_what_is_migrated_is_found_out_from_the_names_of_files(database: Database) -> None:
    assert newest_file() == newest_migration()
    async with database.read() as connection:
        assert await is_migrated(connection) is True
    async with database.transaction() as connection:
        await connection.script("UPDATE cache_state SET declaration = 'older'")
    async with database.read() as connection:
        assert await is_migrated(connection) is False
