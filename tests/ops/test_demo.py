"""The demo company in a database: filled in whole or not at all, derived by the rules, brought up to date."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
import psutil
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from db.connection import Query
from db.database import Database
from db.days import derive_days
from db.demo import demo_company, insert_rows, lock_demo
from db.embedded import lease
from db.embedded.lease import CHECKOUT, FOR_TESTS
from db.migrate import upgrade
from domain.attendance.work_days import zone
from domain.ids import EmployeeId
from ops.cli import application
from ops.demo import DEMO_PASSWORD, DEMO_USERS, DemoRefused, bring_up_to_date, fill_demo, is_empty
from ops.demo.company import Blueprint, company_facts, member
from ops.demo.users import signed_in
from web.passwords import HASHER

NOW = datetime(2026, 12, 16, 9, 30, tzinfo=UTC)  # a Wednesday; two weeks later the year has ended
EMPLOYEES, DAYS, SEED = 60, 9, 7
PLAN = Blueprint(SEED, EMPLOYEES, NOW.date() - timedelta(days=DAYS - 1), NOW.date())
EVERYBODY = [EmployeeId(number) for number in range(1, EMPLOYEES + 1)]
ORDER_BY = {
    "punch": "employee_id, punched_at, direction",
    "shift_assignment": "employee_id, valid_from, iso_weekdays",
    "leave_request": "employee_id, start_date",
}


class Cluster:
    """A server with a migrated database, and one that is filled besides, to copy from."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.count = 0

    def named(self, name: str) -> str:
        return re.sub(r"/rollcall\?", f"/{name}?", self.url)

    async def create(self, name: str, template: str) -> str:
        database = Database(self.url)
        async with database.read() as connection:
            await connection._driver.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        await database.close()
        return self.named(name)

    async def copy(self, template: str) -> str:
        self.count += 1
        return await self.create(f"copy_{self.count}", template)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with lease(tmp_path_factory.mktemp("demo"), postgres_settings=FOR_TESTS) as servers:
        found = Cluster(servers.database_url)
        asyncio.run(prepare(found))
        yield found


async def prepare(cluster: Cluster) -> None:
    migrated = await cluster.create("migrated", "template1")
    await upgrade(migrated)
    database = Database(await cluster.create("filled", "migrated"))
    await fill(database)
    await database.close()


async def fill(database: Database, progress: Any = lambda done, total: None) -> None:
    await fill_demo(database, EMPLOYEES, DAYS, SEED, NOW, progress)


@pytest.fixture
async def empty(cluster: Cluster) -> AsyncIterator[Database]:
    database = Database(await cluster.copy("migrated"))
    yield database
    await database.close()


@pytest.fixture
async def also_filled(cluster: Cluster) -> AsyncIterator[Database]:
    database = Database(await cluster.copy("filled"))
    yield database
    await database.close()


@pytest.fixture
async def filled(cluster: Cluster) -> AsyncIterator[Database]:
    database = Database(await cluster.copy("filled"))
    yield database
    await database.close()


async def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    async with database.read() as connection:
        return await connection.records(Query("test", text(sql)))


async def count(database: Database, table: str) -> int:
    return int((await rows(database, f"SELECT count(*) FROM {table}"))[0][0])


async def digest(database: Database, *tables: str) -> dict[str, str]:
    """What stands in tables, numbers that the database gave out and versions aside."""
    found = {}
    for table in tables:
        order, drop = ORDER_BY.get(table, "1"), "id" if table in ORDER_BY else "version"
        sql = f"SELECT (to_jsonb(t) - '{drop}')::text FROM {table} AS t ORDER BY {order}"
        found[table] = blake2b(repr(await rows(database, sql)).encode(), digest_size=8).hexdigest()
    return found


async def recomputed(database: Database, first: date, last: date, now: datetime) -> int:
    async with database.transaction() as connection:
        return len((await derive_days(connection, EVERYBODY, first, last, now)).changes)


ALL_TABLES = (
    "work_week",
    "location",
    "holiday",
    "department",
    "shift",
    "shift_rule",
    "employee",
    "employee_posting",
    "shift_assignment",
    "roster_day",
    "leave_type",
    "leave_request",
    "device",
    "punch",
    "attendance_day",
    "attendance_stat",
)


async def test_every_table_has_its_rows(filled: Database) -> None:
    counts = {table: await count(filled, table) for table in ALL_TABLES}
    assert counts == {
        "work_week": 3,
        "location": 7,
        "holiday": 2 * 56,
        "department": 1 + 4 + 5,
        "shift": 7,
        "shift_rule": 9,
        "employee": EMPLOYEES,
        "employee_posting": EMPLOYEES + 2,
        "shift_assignment": 56,
        "roster_day": 40,
        "leave_type": 4,
        "leave_request": 24,
        "device": 21,
        "punch": 1062,
        "attendance_day": EMPLOYEES * DAYS - 3,
        "attendance_stat": 229,
    }
    assert await count(filled, "punch_default") == await count(filled, "attendance_day_default") == 0
    totals = await rows(filled, "SELECT sum(days), sum(pending_count) FROM attendance_stat")
    assert totals == await rows(
        filled, "SELECT count(*), count(*) FILTER (WHERE status = 'PENDING') FROM attendance_day"
    )


async def test_days_are_what_the_rules_make_of_the_punches(filled: Database) -> None:
    assert await recomputed(filled, PLAN.first, PLAN.last + timedelta(days=5), NOW) == 0
    last = await rows(filled, "SELECT time_zone, max(work_date) FROM attendance_day GROUP BY 1 ORDER BY 1")
    assert {day for _, day in last} == {NOW.date()} and len(last) >= 5


async def test_two_fillings_are_the_same_however_many_processes_write(
    empty: Database, filled: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ops.demo.fill.SMALL", 0)
    monkeypatch.setattr("ops.demo.fill.usable_cores", lambda: 3)
    monkeypatch.setattr("ops.demo.share.DAYS_AT_ONCE", 1)
    told = []
    await fill(empty, lambda done, total: told.append((done, total)))
    assert await digest(empty, *ALL_TABLES) == await digest(filled, *ALL_TABLES)
    assert told[-1] == (EMPLOYEES * DAYS, EMPLOYEES * DAYS) and told == sorted(told)


async def test_a_database_that_is_not_empty_is_refused(empty: Database, filled: Database) -> None:
    assert await is_empty(empty) is True
    assert await is_empty(filled) is False
    with pytest.raises(DemoRefused, match="needs an empty database, and this one has employees"):
        await fill(filled)
    async with empty.transaction() as connection:
        user = {"email": "someone@example.com", "is_active": True, "token_epoch": 0, "id": 1}
        await insert_rows(connection, "app_user", [user])
    assert await is_empty(empty) is False
    with pytest.raises(DemoRefused, match="create another database and name it in DATABASE_URL"):
        await fill(empty)
    assert await count(empty, "employee") == 0


async def test_an_interrupted_filling_serves_nobody_and_is_started_anew(empty: Database, filled: Database) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(done: int, total: int) -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        await fill(empty, interrupt)
    assert await count(empty, "employee") == EMPLOYEES
    assert await count(empty, "app_user") == 0
    assert await is_empty(empty) is True
    assert await bring_up_to_date(empty, NOW + timedelta(days=1), lambda done, total: None) == 0
    await fill(empty)
    assert await is_empty(empty) is False
    assert await digest(empty, *ALL_TABLES) == await digest(filled, *ALL_TABLES)


async def test_a_process_that_fails_is_named(empty: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.demo.fill.SMALL", 0)
    monkeypatch.setattr("ops.demo.fill.usable_cores", lambda: 2)
    async with empty.transaction() as connection:
        await connection.script("ALTER TABLE punch ADD CHECK (employee_id < 60)")
    with pytest.raises(Exception, match=r"filling in the demo company failed: .*violates check constraint"):
        await fill(empty)
    assert await is_empty(empty) is True


async def test_a_killed_filling_leaves_no_process_and_nothing_to_serve(empty: Database) -> None:
    command = [sys.executable, "-m", "ops", "demo", "--employees", "3000", "--database-url", empty.url]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL) as filling:
        deadline = time.monotonic() + 30
        while not (children := psutil.Process(filling.pid).children()):
            assert filling.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        filling.kill()
    assert psutil.wait_procs(children, timeout=30)[1] == []
    assert await is_empty(empty) is True


async def test_only_one_fills_at_a_time(empty: Database) -> None:
    async with empty.transaction() as other:
        assert await lock_demo(other, wait=False) is True
        with pytest.raises(DemoRefused, match="another process is filling"):
            await fill(empty)
    assert await count(empty, "location") == 0


async def test_users_can_sign_in_with_their_roles(filled: Database) -> None:
    found = await rows(
        filled,
        """SELECT u.email::text, u.password_hash, array_agg(g.role::text ORDER BY g.role), u.employee_id IS NOT NULL,
        max(g.location_id), max(g.department_id) FROM app_user u JOIN role_grant g ON g.user_id = u.id GROUP BY u.id
        ORDER BY u.id""",
    )
    assert [row[0] for row in found] == [email for email, _ in DEMO_USERS]
    assert {row[0].partition("@")[0]: (row[2], *row[3:]) for row in found} == {
        "admin": (["HR", "AUDITOR", "ADMIN"], False, None, None),
        "hr": (["HR"], False, None, None),
        "manager": (["EMPLOYEE", "MANAGER"], True, None, None),
        "analyst": (["ANALYST"], False, None, None),
        "employee": (["EMPLOYEE"], True, None, None),
        "auditor": (["AUDITOR"], False, None, None),
        "payroll": (["PAYROLL"], False, None, None),
        "device": (["DEVICE"], False, 1, None),
    }
    assert HASHER.verify(found[0][1], DEMO_PASSWORD)
    led = await rows(
        filled,
        """SELECT d.id FROM department d JOIN app_user u ON u.employee_id = d.manager_id
        WHERE EXISTS (SELECT FROM department below WHERE below.parent_id = d.id)""",
    )
    assert led == [(2,)]


async def test_new_rows_get_numbers_of_their_own(filled: Database) -> None:
    async with filled.transaction() as connection:
        await connection.script("INSERT INTO work_week (code, name) VALUES ('X', 'X')")
        await connection.script("INSERT INTO department (code, name) VALUES ('X', 'X')")
        await connection.script("INSERT INTO app_user (email) VALUES ('x@example.com')")
    assert await rows(filled, "SELECT max(id) FROM app_user") == [(len(DEMO_USERS) + 1,)]


async def test_the_id_of_every_punch_tells_its_month(filled: Database) -> None:
    await bring_up_to_date(filled, NOW + timedelta(days=3), lambda done, total: None)
    wrong = "count(*) FILTER (WHERE p.id >> 40 <> punch_id(p.punched_at) >> 40)"
    [(count, numbers, others)] = await rows(filled, f"SELECT count(*), count(DISTINCT p.id), {wrong} FROM punch p")
    assert (numbers, others) == (count, 0)
    assert count > 1_000


async def test_an_older_company_is_brought_up_to_the_present_once(filled: Database) -> None:
    later = NOW + timedelta(days=3, hours=5)
    told = []
    changed = await bring_up_to_date(filled, later, lambda done, total: told.append((done, total)))
    assert changed > 3 * EMPLOYEES * 0.8
    assert told[-1] == (EMPLOYEES, EMPLOYEES)
    before = await digest(filled, *ALL_TABLES)
    assert await bring_up_to_date(filled, later, lambda done, total: None) == 0
    assert await bring_up_to_date(filled, NOW, lambda done, total: None) == 0
    assert await digest(filled, *ALL_TABLES) == before
    assert await recomputed(filled, PLAN.first, later.date() + timedelta(days=1), later) == 0
    last = await rows(filled, "SELECT time_zone, max(work_date) FROM attendance_day GROUP BY 1")
    assert dict(last) == {name: later.astimezone(zone(name)).date() for name, _ in last}


async def test_in_two_steps_or_in_one_comes_to_the_same_over_the_end_of_a_year(
    filled: Database, also_filled: Database
) -> None:
    end = NOW + timedelta(days=50, hours=7)
    for step in (NOW + timedelta(hours=2), NOW + timedelta(days=20, hours=11), end):
        await bring_up_to_date(filled, step, lambda done, total: None)
    await bring_up_to_date(also_filled, end, lambda done, total: None)
    assert await digest(filled, *ALL_TABLES) == await digest(also_filled, *ALL_TABLES)
    assert await recomputed(filled, PLAN.first, end.date() + timedelta(days=1), end) == 0
    assert (await rows(filled, "SELECT max(date) FROM holiday"))[0][0].year == 2028
    assert await count(filled, "punch_default") == 0
    async with filled.read() as connection:
        company = await demo_company(connection)
    assert company is not None and company.filled_until == end and company.planned_until > end.date()


async def test_what_is_added_is_what_would_have_been_drawn_at_first(filled: Database) -> None:
    later = NOW + timedelta(days=4, hours=3)
    await bring_up_to_date(filled, later, lambda done, total: None)
    company, organisation = company_facts(PLAN), PLAN.organisation()
    sign_in = signed_in(PLAN, company, NOW).employees
    assert len(sign_in) == 2
    for number in EVERYBODY:
        if number not in sign_in:
            drawn = member(PLAN, company, PLAN.person(organisation, number), later, None).punches
            sql = f"SELECT punched_at FROM punch WHERE employee_id = {number} ORDER BY punched_at, direction"
            assert [row[0] for row in await rows(filled, sql)] == [punch.at for punch in drawn]


async def test_who_signs_in_punches_for_himself_today(filled: Database) -> None:
    member_id = signed_in(PLAN, company_facts(PLAN), NOW).member
    today = f"SELECT count(*) FROM punch WHERE employee_id = {member_id} AND punched_at >= '{NOW:%Y-%m-%d}'"
    assert await rows(filled, today) == [(0,)]
    day = f"SELECT status::text, first_in FROM attendance_day WHERE employee_id = {member_id} AND work_date = "
    assert await rows(filled, f"{day} '{NOW:%Y-%m-%d}'") == [("PENDING", None)]
    await bring_up_to_date(filled, NOW + timedelta(hours=2), lambda done, total: None)
    assert await rows(filled, today) == [(0,)]
    came = NOW + timedelta(hours=2)
    async with filled.transaction() as connection:
        row = {"id": 900_000, "employee_id": member_id, "punched_at": came, "direction": "IN", "source": "WEB"}
        await insert_rows(connection, "punch", [row | {"outside_geofence": False}])
    await bring_up_to_date(filled, NOW + timedelta(days=2), lambda done, total: None)
    assert await rows(filled, f"{day} '{NOW:%Y-%m-%d}'") == [("INCOMPLETE", came)]
    tomorrow = NOW + timedelta(days=1)
    assert (await rows(filled, f"{day} '{tomorrow:%Y-%m-%d}'"))[0][0] == "PRESENT"


def test_the_command_says_what_it_needs() -> None:
    runner = CliRunner(env={"DATABASE_URL": ""})
    result = runner.invoke(application(), ["demo"])
    assert result.exit_code == 2
    assert "DATABASE_URL or --database-url: needed an address like postgresql://" in result.output
    assert "none was given" in result.output
    result = runner.invoke(application(), ["demo", "--database-url", "mysql://user:secret@host/x"])
    assert result.exit_code == 2 and "begins with 'mysql'" in result.output and "secret" not in result.output
    result = runner.invoke(application(), ["demo", "--database-url", "postgresql://user@127.0.0.1:1/x"])
    assert result.exit_code == 3 and result.output.startswith(
        "DATABASE_URL: needed a PostgreSQL that answers, got postgresql://user@127.0.0.1:1/x: "
    )


def test_the_command_migrates_fills_and_refuses_to_do_it_twice(cluster: Cluster) -> None:
    url = asyncio.run(cluster.copy("template1")).replace("postgresql+asyncpg", "postgresql")
    arguments = ["demo", "--employees", "15", "--days", "3", "--seed", "1", "--database-url", url]
    result = CliRunner().invoke(application(), [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    assert "45/45 days" in result.stderr
    said = orjson.loads(result.stdout)
    assert (said["employees"], said["days"], said["password"]) == (15, 3, DEMO_PASSWORD)
    assert "employee@rollcall.test" in [user["email"] for user in said["users"]]
    result = CliRunner().invoke(application(), arguments)
    assert result.exit_code == 1
    assert "the demo company needs an empty database" in result.output
