"""The plans that auto_explain of a real PostgreSQL wrote by stderr, csvlog and jsonlog, whole and cut in the middle."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from db.embedded.lease import FOR_TESTS, lease
from ops import server_log
from ops.server_log import LoggedPlan, logged_plans
from ops.slow_queries import record
from tests.ops.commands import answered, rollcall
from tests.ops.test_user import rows

SLOW = "SELECT 'a \"quoted\" text,' || chr(10) || e'two\nlines' AS planted, pg_sleep(0.05)"
EXPLAINED = "SELECT queryid::text FROM pg_stat_statements WHERE query LIKE '%AS planted%' ORDER BY calls DESC LIMIT 1"
FORMATS = {"stderr": ".log", "csvlog": ".csv", "jsonlog": ".json"}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """Its address, the folder of its logs, and the queryid of a statement that was slow twice."""
    folder = tmp_path_factory.mktemp("logged")
    settings = {
        **FOR_TESTS,
        "logging_collector": "on",
        "log_destination": ",".join(FORMATS),
        "log_directory": str(folder),
        "log_filename": "server.log",
        "log_file_mode": "0644",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "auto_explain.log_min_duration": "20ms",
    }
    folder.chmod(0o777)
    with lease(tmp_path_factory.mktemp("servers"), postgres_settings=settings) as servers:
        assert rollcall("db", "migrate", DATABASE_URL=servers.database_url, CACHE="off").exit_code == 0
        for _ in range(2):
            rows(servers.database_url, SLOW)
        yield servers.database_url, folder, rows(servers.database_url, EXPLAINED)[0]["queryid"]


def read(folder: Path, suffix: str) -> dict[str, LoggedPlan]:
    return logged_plans(folder / f"server{suffix}")


@pytest.mark.parametrize("suffix", FORMATS.values(), ids=FORMATS)
def test_each_format_gives_the_last_plan_of_a_statement(written: tuple[str, Path, str], suffix: str) -> None:
    _, folder, queryid = written
    found = read(folder, suffix)[queryid]
    assert found == read(folder, ".log")[queryid]
    assert found.ms > 50
    assert found.at[:4].isdecimal() and len(found.at) == len("2026-03-16 09:00:00.000")
    assert found.tree["Query Text"] == SLOW
    assert found.tree["Plan"]["Node Type"] == "Result"


@pytest.mark.parametrize("suffix", FORMATS.values(), ids=FORMATS)
def test_a_log_that_begins_in_the_middle_of_a_plan(
    written: tuple[str, Path, str], suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder, queryid = written
    whole = (folder / f"server{suffix}").read_text()
    first = whole.index('"Plan' if suffix == ".log" else "Plan")
    monkeypatch.setattr(server_log, "MOST_BYTES", len(whole[first:].encode()))
    assert read(folder, suffix)[queryid] == read(folder, ".log")[queryid]


@pytest.mark.parametrize("suffix", FORMATS.values(), ids=FORMATS)
def test_the_report_shows_them(written: tuple[str, Path, str], suffix: str, tmp_path: Path) -> None:
    url, folder, queryid = written
    log = Path(shutil.copy(folder / f"server{suffix}", tmp_path))
    given: dict[str, Any] = {"DATABASE_URL": url, "CACHE": "off", "DATA_DIR": tmp_path}
    told = rollcall("db", "slow-query", "report", "--most", 500, "--log", log, "--json", **given)
    assert told.exit_code == 0, told.stderr
    assert record.UNREAD not in answered(told)["notes"]
    [one] = [of for of in answered(told)["statements"] if of["queryid"] == queryid]
    assert (one["plan"]["source"], one["plan"]["analyzed"]) == ("auto_explain", False)
    assert "quoted" not in str(one["plan"]["outline"])
