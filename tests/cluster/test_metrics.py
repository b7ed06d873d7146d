"""Every counter of the code is exported, every metric is documented, histograms hold what they must."""

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.metrics import COUNTERS, exposition
from cluster.observatory import Observatory
from cluster.stats import cache_figures, health, stats
from cluster.sums import added, subtracted
from tests.cluster.conftest import ROOT

PACKAGES = ("cache", "cluster", "db", "jobs", "loaders", "resolvers", "telemetry", "web")
SNAPSHOT = """{"departed": {"operations": {"query A": {"count": 2, "errors": 1, "seconds": 0.5, "buckets": {"16": 2}}}},
"lives": [], "answers": {}, "workers": 1, "restarts": 2, "processes": [{"role": "worker", "name": "worker 1", "pid": 7,
"serves": true, "began": 1, "in_flight": 3, "gauges": {"db_pool_in_use": 4, "cache_breaker": "open",
"cache_tags_held": 6, "certificate_ends": 4102444800}, "sums":
{"counters": {"cache_hits": {"a\\"b": 5}},
"operations": {"query A": {"count": 1, "errors": 0, "seconds": 40.0, "buckets": {"77": 1}}},
"statements": {"one": {"count": 1, "errors": 0, "seconds": 0.25, "buckets": {"30": 1}}}}}]}"""


def observed() -> Observatory:
    observatory = Observatory({"rollcall": "1"})
    observatory.take(SNAPSHOT)
    return observatory


def test_sums_of_the_living_and_the_dead() -> None:
    samples = {
        (sample.name, *sorted(sample.labels.values(), reverse=True)): sample.value
        for family in text_string_to_metric_families(exposition(observed()).decode())
        for sample in family.samples
    }
    assert samples["rollcall_request_seconds_count", "query A"] == 3
    assert samples["rollcall_request_seconds_sum", "query A"] == 40.5
    buckets = [samples["rollcall_request_seconds_bucket", "query A", bound] for bound in ("0.0005", "0.001", "32.768")]
    assert buckets == [0, 2, 2]
    assert samples["rollcall_request_seconds_bucket", "query A", "+Inf"] == 3
    assert samples["rollcall_request_errors_total", "query A"] == 1
    assert samples["rollcall_cache_hits_total", 'a"b'] == 5
    assert samples["rollcall_sql_seconds_total", "one"] == 0.25
    assert samples["rollcall_worker_restarts_total",] == 2
    assert samples["rollcall_db_pool_in_use",] == 4
    assert samples["rollcall_cache_breakers_open",] == 1
    assert samples["rollcall_cache_tags_held",] == 6
    assert samples["rollcall_requests_in_flight",] == 3


def test_the_certificate_that_ends_first_counts_and_none_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    observatory = observed()
    for ends, line in (
        ([None, None], []),
        ([1_086_400.0, 1_000_060.5], ["rollcall_certificate_seconds 60.0"]),
        ([1_086_400.0, 999_990.0], ["rollcall_certificate_seconds -10.0"]),
    ):
        observatory.snapshot = {
            "processes": [
                {"role": "worker", "name": "w", "serves": True, "gauges": {"certificate_ends": end} if end else {}}
                for end in ends
            ]
        }
        shown = exposition(observatory).decode().splitlines()
        assert [found for found in shown if found.startswith("rollcall_certificate")] == line


def test_every_counter_of_the_code_is_exported() -> None:
    counted = {
        name
        for package in PACKAGES
        for path in Path(ROOT, package).rglob("*.py")
        for name in re.findall(r'\bcount\(\s*"([a-z_]+)"', path.read_text())
    }
    assert counted == set(COUNTERS)


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "operate" / "monitoring.md").read_text()
    documented = set(re.findall(r"^\| `(rollcall_[a-z_]+)`", page, re.MULTILINE))
    families = text_string_to_metric_families(exposition(observed()).decode())
    assert {family.name + ("_total" if family.type == "counter" else "") for family in families} == documented


def test_the_processor_time_of_a_start_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    observatory = Observatory({})
    shares = []
    for at_s, reports in (
        (0.0, [(7, 50.0)]),
        (1.0, [(7, 50.5), (8, 3.0)]),
        (3.0, [(7, 51.0), (8, 3.4)]),
        (30.0, [(8, 4)]),
    ):
        monkeypatch.setattr(time, "monotonic", lambda at_s=at_s: at_s)
        processes = [{"pid": pid, "role": "worker", "name": "w", "cpu_s": cpu_s} for pid, cpu_s in reports]
        observatory.take(json.dumps({"departed": {}, "processes": processes}))
        shares.append((round(observatory.cpu_share(7), 3), round(observatory.cpu_share(8), 3)))
    assert shares == [(0, 0), (0.5, 0), (0.333, 0.2), (0, 0)]


def failing(failed: Sequence[int], answered: int) -> str:
    """A snapshot of workers, each of which has answered so many requests and failed to answer some."""
    processes = [
        {
            **{"role": "worker", "name": f"worker {pid}", "pid": pid, "serves": True, "began": 1},
            "sums": {"operations": {"query A": {"count": answered, "errors": errors, "seconds": 1.0, "buckets": {}}}},
        }
        for pid, errors in enumerate(failed, 1)
    ]
    return json.dumps({"departed": {}, "lives": [], "answers": {}, "workers": len(failed), "processes": processes})


def test_errors_add_up_over_the_workers() -> None:
    observatory = Observatory({})
    observatory.take(failing([3, 4], 500))
    found = stats(observatory)
    assert ([worker["errors"] for worker in found["workers"]], found["total"]["errors"]) == ([3, 4], 7)


@pytest.mark.parametrize(
    ("failed", "answered", "reasons"),
    [
        ([2, 3], 250, ["5 of 500 requests failed in the last 10 s"]),
        ([2, 2], 5, []),
        ([2, 3], 251, []),
    ],
    ids=["one in a hundred", "too few to tell", "too small a share"],
)
def test_health_tells_that_requests_fail(
    monkeypatch: pytest.MonkeyPatch, failed: list[int], answered: int, reasons: list[str]
) -> None:
    observatory = Observatory({})
    healths = []
    for at_s, line in (
        (0.0, failing([0, 0], 0)),
        (5.0, failing(failed, answered)),
        (16.0, failing(failed, answered)),
        (17.0, failing(failed, answered)),
    ):
        monkeypatch.setattr(time, "monotonic", lambda at_s=at_s: at_s)
        observatory.take(line)
        healths.append(health(observatory))
    assert [of["reasons"] for of in healths] == [[], reasons, [], []]
    assert [of["status"] for of in healths] == ["ok", "degraded" if reasons else "ok", "ok", "ok"]


def test_sums() -> None:
    assert added([{"a": 1, "b": {"c": 2}}, {"a": 2, "b": {"c": 1, "d": 5}, "text": "x", "b2": {}}]) == {
        "a": 3,
        "b": {"c": 3, "d": 5},
        "b2": {},
    }
    assert added([{"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}]) == {"a": 1}, "what does not fit is left out"
    assert subtracted({"a": 5, "b": {"c": 3}}, {"a": 2}) == {"a": 3, "b": {"c": 3}}


def test_figures_of_the_cache() -> None:
    counters = {
        "cache_hits": {"employee": 8, "viewer": 3},
        "cache_misses": {"employee": 2},
        "cache_fills": {"employee": 2},
        "answer_hits": {"HR": 3},
        "answer_misses": {"HR": 1, "nobody": 2},
        "writes": {"held": 4},
        "cache_verified": {"same": 1},
    }
    recent = {"cache_hits": {"employee": 1}, "cache_misses": {"employee": 1}, "answer_hits": {"HR": 1}}
    found = cache_figures({"counters": counters}, {"counters": recent})
    assert found["hit_rate"] == 0.5
    assert found["loaders"] == {
        "employee": {"hits": 8, "misses": 2, "hit_rate": 0.5, "fills": 2},
        "viewer": {"hits": 3, "misses": 0, "hit_rate": None, "fills": 0},
    }
    assert found["viewers"] == {
        "HR": {"hits": 3, "misses": 1, "hit_rate": 1.0},
        "nobody": {"hits": 0, "misses": 2, "hit_rate": None},
    }
    assert (found["writes"], found["verified"], found["stale"]) == ({"held": 4}, {"same": 1}, {})
    observatory = observed()
    observatory.servers = {
        "redis": {"fence_s": 1.5, "keys": 9, "used_memory_bytes": 2**20},
        "database": {"outbox_rows": 2},
    }
    now = stats(observatory)["cache"]
    assert (now["fence_s"], now["keys"], now["memory_bytes"], now["outbox_rows"]) == (1.5, 9, 2**20, 2)
    assert now["tags_held"] == 6
