"""What an installation asks of its Redis: few commands, an end for every key, flat memory whatever is written."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from alembic.config import Config

from cache.commands import COMMANDS
from cache.policy import Policy
from cache.second_level import SecondLevelCache
from cache.server import LUA, Server
from db import migrate, tags
from db.connection import ReadConnection
from db.embedded.lease import CHECKOUT
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Batch
from loaders.unit_of_work import unit_of_work
from ops.cache_checks import CHECKS, Broken, Core, checked
from telemetry.recording import recording
from tests.coherence.valkey import Valkey
from tests.coherence.worker import PATIENT, RENAME, Worker

PAGE = CHECKOUT / "docs" / "operate" / "commands.md"
WRITES = 20_000


@pytest.fixture
def restricted(valkey: Valkey) -> Iterator[str]:
    """The address of a Valkey for the user that the page describes."""
    [line] = re.findall(r"^ACL SETUSER rollcall .*$", PAGE.read_text(), re.MULTILINE)
    valkey.ask(line.replace("PASSWORD", "secret").replace("~rollcall:*", "~test:*"))
    yield f"unix://rollcall:secret@{valkey.path}"


def server(url: str) -> Server:
    """A patient client."""
    return Server(url, PATIENT)


async def test_the_user_of_the_page_can_do_everything(restricted: str, worker: Worker) -> None:
    worker.cache = SecondLevelCache(server(restricted), "test")
    assert await worker.drain()
    assert await worker.name() == "name 1" and await worker.from_cache()
    await worker.rename("ours")
    assert await worker.name() == "ours" and await worker.from_cache()
    await worker.psql("UPDATE employee SET full_name = 'theirs' WHERE id = 1 RETURNING id")
    assert await worker.drain()
    assert await worker.name() == "theirs"
    await worker.cache.close()
    outcomes = await checked(lambda: server(restricted), "test")
    assert {outcome.check: outcome.error for outcome in outcomes} == dict.fromkeys(CHECKS, "")


@pytest.mark.parametrize("command", COMMANDS)
async def test_each_command_of_the_page_is_needed(restricted: str, valkey: Valkey, command: str) -> None:
    valkey.ask(f"ACL SETUSER rollcall -{command.lower()}")
    core = Core(lambda: server(restricted), "test")
    try:
        with pytest.raises(Broken, match=f"may not run {command}: "):
            await CHECKS["commands"](core)
    finally:
        await core.ours.close()
        await core.other.close()


def test_the_page_lists_what_is_sent_and_nothing_else() -> None:
    [line] = re.findall(r"^ACL SETUSER rollcall .*$", PAGE.read_text(), re.MULTILINE)
    assert {word[1:].upper() for word in line.split() if word.startswith("+")} == set(COMMANDS)
    in_scripts = {name for lua in LUA.values() for name in re.findall(r"redis\.call\('([A-Z]+)'", lua)}
    assert in_scripts <= set(COMMANDS)
    sent = {
        name
        for path in [*Path(CHECKOUT, "cache").glob("*.py"), *Path(CHECKOUT, "ops").glob("*.py")]
        for name in re.findall(r"""\.ask\("([A-Z]+)""", path.read_text())
    }
    assert sent <= set(COMMANDS) and "SCAN" in sent


async def test_memory_stays_flat_however_much_is_written(worker: Worker, valkey: Valkey) -> None:
    """Every key has an end, and a tag that is written again takes the place of what it had before."""
    tags = [f"attendance_day.employee_id={number}&month=2026-03" for number in range(200)]

    async def write(writes: int) -> None:
        home = await worker.cache.home()
        for number in range(writes // 100):
            touched = [tags[(number * 7 + place) % len(tags)] for place in range(100)]
            assert await worker.cache.hold(f"9-{number}", touched, home)
            await worker.cache.release(f"9-{number}", touched)

    await write(2_000)
    with valkey.client as client:
        before, keys = client.info("memory")["used_memory"], client.dbsize()
        await write(WRITES)
        assert client.dbsize() == keys
        assert abs(client.info("memory")["used_memory"] - before) < 100_000
        assert [name for name in client.scan_iter() if client.pttl(name) < 0] == []


async def test_transactions_leave_nothing_behind_in_either_server(worker: Worker, valkey: Valkey) -> None:
    for number in range(50):
        async with unit_of_work(worker.database, worker.cache) as unit:
            await unit.connection.execute(RENAME, name=f"n{number}", id=1)
    with valkey.client as client:
        keys = client.dbsize()
        await worker.rename("last")
        assert await worker.drain()
        assert client.dbsize() == keys
    assert await worker.psql("SELECT count(*) FROM cache_outbox") == [(0,)]


class Before(msgspec.Struct, frozen=True, array_like=True):
    """An employee as one version of the service has it."""

    id: int
    full_name: str


class After(msgspec.Struct, frozen=True, array_like=True):
    """The same as the next version has it."""

    full_name: str
    id: int
    employee_no: str


def lookup(shape: type[Before | After]) -> Batch[EmployeeId, Before | After]:
    """The lookup of a version."""
    columns = ", ".join(shape.__struct_fields__)
    query = statement("v", f"SELECT {columns} FROM employee WHERE id = ANY(CAST(:ids AS bigint[]))")

    async def fetch(connection: ReadConnection, ids: Sequence[EmployeeId]) -> Mapping[EmployeeId, Before | After]:
        return {EmployeeId(row.id): row for row in await connection.all(query, shape, ids=list(ids))}

    return Batch(fetch, Policy("employee_of_versions", shape, "employee", lambda key: (tags.EMPLOYEE(key),)))


async def test_two_versions_with_other_rows_share_a_redis(worker: Worker, other: Worker, valkey: Valkey) -> None:
    """A rolling deployment: each reads only what has its own shape, and a write by either is seen by both."""
    before, after, first = lookup(Before), lookup(After), EmployeeId(1)
    for name in ("name 1", "by the old", "by the new"):
        if name != "name 1":
            await (worker if name == "by the old" else other).rename(name)
        for _ in range(2):
            assert await worker.get(before, first) == Before(1, name)
            assert await other.get(after, first) == After(name, 1, "E001")
        with recording() as made:
            await worker.get(before, first), await other.get(after, first)
        assert made.sql == []
    with valkey.client as client:
        assert len(client.keys("test:e:employee_of_versions@*")) == 2


async def test_a_migration_begins_an_epoch(
    worker: Worker, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may rewrite rows by statements that no trigger sees."""
    migrations = shutil.copytree(CHECKOUT / "db" / "migrations", tmp_path / "migrations")
    shouting = "ALTER TABLE employee ALTER full_name TYPE text USING upper(full_name)"
    (migrations / "versions" / "9999_shout.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9999', '{migrate.newest_migration()}'\n"
        f"def upgrade(): op.execute('{shouting}')\n"
    )
    config = Config()
    config.set_main_option("script_location", str(migrations))
    monkeypatch.setattr(migrate, "alembic_config", lambda: config)
    await worker.name()
    await migrate.upgrade(database_url)
    assert await worker.drain() and await worker.name() == "NAME 1"
    [before] = await worker.psql("SELECT epoch FROM cache_state")
    await migrate.upgrade(database_url)
    assert await worker.drain() and await worker.psql("SELECT epoch FROM cache_state") == [before]
