"""What is counted about requests and statements, through the real layers."""

from collections import Counter

import pytest

from db.connection import Query
from domain.errors import Unavailable
from telemetry import counters, report, requests
from telemetry.timings import Timings
from tests.kit.rig import Rig
from web import measured
from web.measured import measure
from web.request_record import RequestRecord


@pytest.fixture(autouse=True)
def own_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, owner, fresh in (
        ("counters", counters, Counter()),
        ("operations", measured, Timings(60)),
        ("statements", requests, Timings(60)),
    ):
        monkeypatch.setattr(owner, name, fresh)
        monkeypatch.setattr(report, name, fresh)


@pytest.mark.parametrize(
    ("path", "record", "label", "errors"),
    [
        ("/graphql", RequestRecord("1", 200, "Today", "query"), "query Today", 0),
        ("/graphql", RequestRecord("1", 200, None, "mutation"), "mutation (anonymous)", 0),
        ("/graphql", RequestRecord("1", 200, "Today", "query", error_codes=("FORBIDDEN",)), "query Today", 0),
        ("/graphql", RequestRecord("1", 200, "A", "query", error_codes=("INTERNAL_SERVER_ERROR",)), "query A", 1),
        ("/graphql", RequestRecord("1", 504, "A", "query", error_codes=("REQUEST_TIMEOUT",)), "query A", 1),
        ("/graphql", RequestRecord("1", 400), "http graphql", 0),
        ("/graphql", RequestRecord("1", None, "A", "query", disconnected=True), "query A", 0),
        ("/auth/token", RequestRecord("1", 503), "http auth", 1),
        ("/wp-login.php", RequestRecord("1", 404), "http other", 0),
        ("", RequestRecord("1", 404), "http other", 0),
    ],
)
def test_request_is_counted_under_its_operation(path: str, record: RequestRecord, label: str, errors: int) -> None:
    measure({"path": path}, record, 0.001)
    counted = report.sums()
    assert counted["operations"] == {label: {"count": 1, "errors": errors, "seconds": 0.001, "buckets": {"16": 1}}}
    codes = {"request_error_codes": dict.fromkeys(record.error_codes, 1)} if record.error_codes else {}
    gone = {"request_disconnects": {"": 1}} if record.disconnected else {}
    assert counted["counters"] == codes | gone


async def test_statements_are_timed_and_failures_counted(rig: Rig) -> None:
    from sqlalchemy import text

    async with rig.database.read() as connection:
        await connection.records(Query("one", text("SELECT 1")))
        with pytest.raises(Unavailable):
            await connection.records(Query("cancelled", text("SELECT pg_cancel_backend(pg_backend_pid())")))
    one, cancelled = (requests.statements.by_name[name] for name in ("one", "cancelled"))
    assert (one.count, one.errors, cancelled.count, cancelled.errors) == (1, 0, 1, 1)
