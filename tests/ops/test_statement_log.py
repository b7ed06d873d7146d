"""Each statement tells its name to PostgreSQL and, when asked to, itself to the log; nothing tells its values."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from db.statement_log import statement_log, watching_statements
from db.where import statement
from domain.ids import EmployeeId
from loaders.batch import Loaders
from loaders.employees import employee_by_id
from telemetry import requests
from telemetry.requests import current_operation, current_request
from telemetry.senders import Senders
from telemetry.timings import OTHERS
from tests.kit.rig import Rig
from tests.kit.small_company import ADMIN


@pytest.fixture(autouse=True)
def own_record(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(requests, "senders", Senders(300))
    monkeypatch.setattr(statement_log, "every", False)
    monkeypatch.setattr(requests.slow, "threshold_s", 3600.0)
    tokens = current_operation.set("query Today"), current_request.set("request-1")
    yield
    current_operation.reset(tokens[0])
    current_request.reset(tokens[1])


async def test_the_name_stands_in_the_text_and_is_the_same_for_every_request(rig: Rig) -> None:
    query = statement("odd name", "SELECT CAST(:number AS int)")
    assert query.sql == "SELECT CAST($1 AS int) /*application='rollcall',statement='odd%20name'*/"
    sql = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
    async with rig.database.read() as connection:
        [(shown,)] = await connection.records(statement("activity", sql))
    assert shown == f"{sql} /*application='rollcall',statement='activity'*/"


async def test_statements_are_traced_to_their_operation_and_loader(rig: Rig) -> None:
    loaders = Loaders(rig.database, rig.cache)
    await loaders.load_many(employee_by_id, [EmployeeId(1), EmployeeId(2)])
    assert requests.senders.sums()["employee_by_id"] == {"query Today": {"employee": 1}}
    async with rig.database.read() as connection:
        await connection.records(statement("by_hand", "SELECT 1"))
    assert requests.senders.sums()["by_hand"] == {"query Today": {"": 1}}


def test_who_sent_what_is_bounded() -> None:
    senders = Senders(most=2)
    for number in range(4):
        senders.add("a", f"query Number{number}", "employee")
    assert senders.sums() == {
        "a": {"query Number0": {"employee": 1}, "query Number1": {"employee": 1}},
        OTHERS: {OTHERS: {OTHERS: 2}},
    }


async def test_every_statement_is_logged_without_values(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_log, "every", True)
    with capture_logs() as lines:
        await Loaders(rig.database, rig.cache).load(employee_by_id, EmployeeId(1))
        async with rig.database.read() as connection:
            await connection.records(statement("secret", "SELECT CAST(:email AS text)"), email="mia@example.org")
    [lookup] = [line for line in lines if line.get("name") == "employee_by_id"]
    ms = lookup.pop("ms")
    assert 0 < ms < 10_000
    assert lookup == {
        "event": "statement",
        "name": "employee_by_id",
        "operation": "query Today",
        "loader": "employee",
        "request_id": "request-1",
        "log_level": "info",
    }
    assert any(line.get("name") == "secret" for line in lines) and "mia@" not in repr(lines)


async def test_without_the_setting_only_slow_ones_are_logged(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_log, "slow", True)
    monkeypatch.setattr(requests.slow, "threshold_s", 0.05)
    with capture_logs() as lines:
        async with rig.database.read() as connection:
            await connection.records(statement("slow", "SELECT pg_sleep(0.06)"))
    assert [line["event"] for line in lines if line.get("name") == "slow"] == ["slow statement"]


async def test_copies_are_logged_as_well(empty_rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_log, "every", True)
    with capture_logs() as lines:
        async with empty_rig.database.transaction() as connection:
            await connection.script("CREATE TEMPORARY TABLE copied (id int)")
            await connection.copy("copied", ("id",), [(1,)])
    assert [line["name"] for line in lines if line.get("name", "").startswith(("copy", "script"))] == [
        "script",
        "copy_copied",
    ]


async def test_who_watches_is_given_the_values(rig: Rig) -> None:
    with watching_statements() as sent:
        await rig.data("{ me { email } }", viewer=await rig.viewer(ADMIN))
    assert {"user_by_id"} <= {one.name for one in sent}
    async with rig.database.read() as connection:
        await connection.records(statement("unwatched", "SELECT 1"))
    assert "unwatched" not in {one.name for one in sent}
