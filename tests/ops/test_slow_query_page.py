"""The page of the report in a headless Chromium: it needs nothing from anywhere, and its plans open."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.plan_advice import Advice
from ops.slow_queries.page import page
from ops.slow_queries.record import Plan, Record, Sender, Statement
from tests.web.graphiql.chromium import chromium, chromium_path

SENDERS = [Sender("query Today", "stats", 12), Sender("query Team", "stats", 3), Sender(None, None, 1)]
LINES = ["Aggregate  (expected 1 rows, 1 came, 812.1 ms)", "  Seq Scan on attendance_day  (expected 9 rows, 12 came)"]
PLAN = Plan("a worker", True, "2026-03-16T09:30:00+00:00", 812.4, "query Today", {}, LINES)
ADVICE = Advice("sequential scan", "attendance_day is read from end to end", "CREATE INDEX ON attendance_day (place)")
STATEMENT = Statement(
    "42", "stats", "SELECT 1", 16, 9000.5, 562.5, 901.0, None, 16, 10, 5, 0, SENDERS, PLAN, None, [ADVICE]
)
LATEST = [{"name": "stats", "ms": 812.4, "operation": "query Today", "loader": "stats", "process": "worker 1"}]


async def test_the_page_needs_nothing_and_shows_its_plans(tmp_path: Path) -> None:
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium")
    file = tmp_path / "report.html"
    record = Record("pg_stat_statements", ["a note"], 200.0, [STATEMENT], LATEST)
    file.write_text(page(record, datetime(2026, 3, 16, 10, tzinfo=UTC)))
    async with chromium(path, tmp_path) as browser, browser.opened(file.as_uri()) as shown:
        assert await shown.evaluate("document.querySelector('h1').innerText") == "Slow statements"
        style = "getComputedStyle(document.querySelector('.advice')).borderLeftWidth"
        assert await shown.evaluate(style) == "3px", "the policy must admit the page's own style"
        hidden = "document.querySelector('pre:not(.sql)').checkVisibility()"
        assert await shown.evaluate(hidden) is False
        await shown.evaluate("document.querySelectorAll('summary').forEach((one) => one.click())")
        assert "Seq Scan on attendance_day" in await shown.evaluate("document.body.innerText")
        assert [url for url in shown.requests if not url.startswith(("file:", "data:"))] == []
        assert shown.errors == []
