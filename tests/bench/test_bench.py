"""`make bench` from end to end with a tiny company: valid JSON with every key, and the exact work of each query."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.figures import middle_mean, percentile, ratio
from bench.queries import NamedQuery, named_queries
from bench.report import read_peers
from bench.service import CHECKOUT

FIGURES = {
    "sql", "redis", "redis_fills", "cpu_ms", "p50_ms", "p99_ms", "requests_per_s", "busiest_worker_share",
    "response_bytes", "requests", "connections", "sql_names",
}  # fmt: skip
SQL_COLD = {
    "one_employee": "employee_by_id employee_by_id organisation viewer_by_user",
    "employees_50x10": "days_of_employee employee_by_id employees organisation shift_by_id viewer_by_user",
    "employees_200x20": "days_of_employee employees viewer_by_user",
    "today": "department_by_id present_now today viewer_by_user",
    "stats_by_department_and_month": "department_by_id headcount headcount stats stats viewer_by_user",
}
REDIS_OF_ROWS = {
    "one_employee": 3, "employees_50x10": 4, "employees_200x20": 3, "today": 3, "stats_by_department_and_month": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data = tmp_path_factory.mktemp("bench")
    page = data / "performance.md"
    options = ["--quick", "--employees", "60", "--days", "12", "--workers", "1", "--json", "-", "--page", str(page)]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--data", str(data), *options], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "page": page.read_text(), "table": done.stderr}


def test_every_query_has_every_figure_in_both_states(run: Any) -> None:
    assert set(run["queries"]) == set(SQL_COLD)
    for found in run["queries"].values():
        assert set(found) == {"cold", "rows", "warm", "ratios"}
        assert set(found["cold"]) == set(found["rows"]) == set(found["warm"]) == FIGURES
        assert found["cold"]["requests"] == 2 and found["rows"]["requests"] >= 4 and found["warm"]["requests"] >= 4
        for figures in (found["cold"], found["rows"], found["warm"]):
            assert 0 < figures["p50_ms"] <= figures["p99_ms"]
            assert figures["cpu_ms"] > 0 and figures["response_bytes"] > 300


def test_a_kept_answer_costs_one_read_of_redis_and_no_sql(run: Any) -> None:
    assert {(found["warm"]["sql"], found["warm"]["redis"]) for found in run["queries"].values()} == {(0, 1)}


def test_an_answer_from_cached_rows_costs_one_read_of_redis_a_level_and_no_sql(run: Any) -> None:
    rows = {name: (found["rows"]["sql"], found["rows"]["redis"]) for name, found in run["queries"].items()}
    assert rows == {name: (0, reads) for name, reads in REDIS_OF_ROWS.items()}


def test_a_cold_request_sends_each_statement_once_whatever_the_number_of_rows(run: Any) -> None:
    sent = {name: sorted(found["cold"]["sql_names"]) for name, found in run["queries"].items()}
    if "employee_by_id" in sent["today"]:  # of those who are late, when somebody is at this hour
        sent["today"].remove("employee_by_id")
    assert sent == {name: names.split() for name, names in SQL_COLD.items()}


def test_every_promise_is_measured_against_its_target(run: Any) -> None:
    promises, names = run["promises"], set(SQL_COLD)
    assert set(promises["hits"]) == set(promises["fills"]) == names
    assert set(promises["mutations"]) == {"save_employee", "mark_attendance"}
    for part in ("hits", "fills", "mutations"):
        for found in promises[part].values():
            assert 0 < found["least"] <= found["ratio"] <= found["greatest"]
    assert promises["hits"]["today"]["requests"] == 16 and promises["stamp_check_us"] > 0
    assert "| a kept answer / the same bytes from memory, CPU | one_employee |" in run["page"]


def test_the_mixed_workload_is_the_same_with_and_without_a_cache(run: Any) -> None:
    default, rows, off = (run["promises"]["mixed"][name] for name in ("default", "rows", "off"))
    assert {(one["reads"] + one["writes"], one["writes"]) for one in (default, rows, off)} == {(30, default["writes"])}
    assert rows["keys"] == off["keys"] > default["keys"] > 0 and rows["hits"] > off["hits"] == off["kept"] == 0
    assert default["kept"] > 0 and default["read_statements"] < off["read_statements"]


def test_the_run_says_what_it_was_made_on(run: Any) -> None:
    assert (run["employees"], run["days"], run["workers"]) == (60, 12, 1)
    assert run["machine"]["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert {"cores", "commit", "postgres", "valkey", "packages", "processor"} <= set(run["machine"])
    assert "another run" in run["table"] and "ANOTHER RUN" in run["peers"]["source"]
    assert "60 employees x 12 days" in run["page"] and "| one_employee | warm | 0 | 1 |" in run["page"]


def test_a_folder_that_cannot_be_had_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "bench", "--quick", "--data", str(tmp_path / "file" / "x")]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "cannot write to the data folder" in done.stderr and "Traceback" not in done.stderr


def test_the_middle_mean_leaves_out_a_quarter_at_each_end() -> None:
    assert middle_mean([900.0, 1.0, 3.0, 2.0, 5.0, 4.0, 8.0, 0.0]) == 3.5
    assert middle_mean([7.0]) == 7.0


@pytest.mark.parametrize(("rank", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100)])
def test_percentiles_are_values_that_were_measured(rank: float, expected: int) -> None:
    assert percentile(range(100, 0, -1), rank) == expected
    assert percentile([7.0], rank) == 7.0


def test_ratios_have_three_digits() -> None:
    assert ratio(1234.0, 1.0) == 1230.0


def test_every_query_has_a_nearest_one_of_the_peers_but_today() -> None:
    from datetime import date

    queries: tuple[NamedQuery, ...] = named_queries(60, date(2026, 3, 17))
    peers = read_peers()
    assert {query.name for query in queries} - set(peers.nearest) == {"today"}
    assert queries[1].variables == {"period": {"range": {"from": "2026-03-08", "to": "2026-03-17"}}}
