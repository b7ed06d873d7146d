"""What `rollcall perf` concludes from figures, what it draws, and what it refuses."""

import copy
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ops.perf.compare import compared, differences, judged, rank_z
from ops.perf.diagnosis import diagnosis
from ops.perf.figures import Run, figures
from ops.perf.flame import CannotSample, Samples, _reason, merged, sampled
from ops.perf.flame_svg import COLOURS, LIBRARIES, colour, fitting, flame_svg
from ops.perf.load import Effort, Outcome, Sample
from ops.perf.page import page
from ops.perf.plots import linear, logarithmic
from ops.perf.saturation import analysis, analysis_of_run, verdict
from tests.ops.commands import answered, rollcall

HEALTHY: dict[str, Any] = {
    "window_s": 60.0,
    "workers": [{"name": "worker 1", "event_loop_lag_ms": 2.0, "cpu": 0.4}],
    "total": {"requests_per_s": 50.0, "p95_ms": 20.0, "db_pool_size": 10},
    "statements": {"employee_by_id": {"per_s": 3.0, "p95_ms": 4.0}},
    "operations": {"query A": {"per_s": 1.0, "p50_ms": 20.0, "p95_ms": 40.0}},
    "cache": {"fence_s": 1.9},
    "pressure": {
        "window_s": 60.0,
        "longest_lag_ms": 12.0,
        "collections": {"generation 2": {"count": 1, "total_ms": 20.0, "p95_ms": 20.0, "longest_ms": 20.0}},
        "pool_waits": {"count": 2, "total_ms": 90.0, "p95_ms": 60.0, "longest_ms": 60.0},
        "pool_timeouts": 0,
        "executions": {
            "query A": {"count": 60, "seconds": 0.6, "statements": 60, "sql_seconds": 0.1, "waited_seconds": 0.0,
                        "repeated": {"one": 4}, "times": {"one": 48}},
        },
        "splits": {"employee": 4},
        "bypasses": {},
        "lookups": {"employee": {"hits": 90, "misses": 10}},
    },
}  # fmt: skip


def changed(path: str, value: object) -> dict[str, Any]:
    stats = copy.deepcopy(HEALTHY)
    *way, last = path.split("/")
    place = stats
    for name in way:
        place = place[name]
    place[last] = value
    return stats


def test_a_healthy_service_has_no_findings() -> None:
    [found] = diagnosis(HEALTHY)
    assert (found.level, found.found) == ("ok", "50 requests/s in 60 s, p95 20 ms, longest lag 12 ms")
    [found] = diagnosis({**HEALTHY, "total": {**HEALTHY["total"], "requests_per_s": 0, "p95_ms": None}})
    assert found.found == "0 requests/s in 60 s, nothing was asked, longest lag 12 ms"


@pytest.mark.parametrize(
    ("path", "value", "about"),
    [
        ("pressure/longest_lag_ms", 250.0, "event loop"),
        ("pressure/collections/generation 2/longest_ms", 150.0, "garbage"),
        ("pressure/collections/generation 2/total_ms", 3_100.0, "garbage"),
        ("pressure/pool_waits/count", 5, "pool"),
        ("pressure/pool_timeouts", 1, "pool"),
        ("pressure/splits/employee", 5, "split"),
        ("pressure/executions/query A/repeated/one", 5, "N+1"),
        ("pressure/lookups/employee/misses", 91, "cold cache"),
        ("pressure/bypasses", {"fenced": 91}, "cold cache"),
        ("operations/query A/p95_ms", 501.0, "slow resolver"),
    ],
)
def test_each_fault_has_its_own_finding(path: str, value: object, about: str) -> None:
    [found] = diagnosis(changed(path, value))
    assert (found.level, found.about) == ("warning", about)
    assert found.found and found.change


@pytest.mark.parametrize(
    ("kind", "about"),
    [("sql_seconds", "slow statement"), ("waited_seconds", "slow operation"), ("none", "slow resolver")],
)
def test_a_slow_operation_is_traced_to_where_its_time_goes(kind: str, about: str) -> None:
    stats = changed("operations/query A/p95_ms", 501.0)
    stats["pressure"]["executions"]["query A"][kind] = 0.5
    assert [finding.about for finding in diagnosis(stats)] == [about]
    del stats["pressure"]["executions"]["query A"]
    assert [finding.change for finding in diagnosis(stats)] == [
        "the time goes before the execution: rollcall perf flame"
    ]


POINT = {
    "cpu": 0.2, "cpu_all": 0.4, "workers": 2, "pool": 0.1, "pool_wait_ms": 0.0, "gc_ms": 5.0, "lag_ms": 3.0,
    "database_ms": 1.0, "redis_ms": 1.0, "redis_cpu": 0.1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "level", "about"),
    [
        ("cpu", 0.9, "error", "worker CPU"), ("cpu", 0.7, "warning", "worker CPU"),
        ("pool_wait_ms", 1_500.0, "error", "pool"), ("pool_wait_ms", 20.0, "warning", "pool"),
        ("redis_cpu", 0.9, "error", "Redis"), ("redis_ms", 30.0, "warning", "Redis"),
        ("database_ms", 80.0, "warning", "PostgreSQL"),
        ("lag_ms", 150.0, "error", "event loop"), ("gc_ms", 1_500.0, "warning", "garbage"),
    ],
)  # fmt: skip
def test_what_saturates_is_named(name: str, value: float, level: str, about: str) -> None:
    assert verdict(analysis([POINT, POINT])) == "Nothing saturates."
    found = analysis([{**POINT, name: value}] * 3)
    assert [(finding.level, finding.about) for finding in found if finding.level != "ok"] == [(level, about)]
    assert verdict(found).endswith(f": {about}.")


def test_more_workers_are_advised_only_where_there_are_processors() -> None:
    full = [{**POINT, "cpu": 0.95, "cpu_all": 1.9}]
    assert analysis(full, cores=8)[0].change == "CLUSTER_WORKERS=8: there are processors left"
    assert analysis(full, cores=2)[0].change.startswith("more processors")
    assert analysis([{**POINT, "cpu": 0.95, "cpu_all": 1.0}], cores=8)[0].change.startswith("the load is uneven")


def made_run(factor: float = 1.0, *, seed: int = 1, requests: int = 2_000, **effort: Any) -> Run:
    chance = random.Random(seed)
    samples = [
        Sample("me", number / 100, round(factor * chance.lognormvariate(2, 0.5), 3), 0.3) for number in range(requests)
    ]
    given = Effort(**{"rate": 100.0, "duration_s": requests / 100, "mix": {"me": 1.0}, **effort})
    outcome = Outcome(samples, requests, requests / 100, 0.0, requests / 100, 4, 0.2)
    return figures(outcome, given, "http://localhost", [{**POINT, "at": at} for at in range(1, 10)], {"rollcall": "1"})


def test_two_runs_of_the_same_differ_by_noise_and_a_slower_one_is_worse() -> None:
    verdicts = [
        {of.verdict for of in compared(made_run(requests=300), made_run(seed=seed, requests=300))}
        for seed in range(2, 12)
    ]
    assert verdicts == [{"noise"}] * 10
    assert {of.verdict for of in compared(made_run(), made_run(1.3, seed=2))} == {"worse"}
    assert {of.verdict for of in compared(made_run(1.3, seed=2), made_run())} == {"better"}
    assert {of.verdict for of in compared(made_run(requests=6), made_run(3.0, requests=6))} == {"too few"}
    assert differences(made_run(), made_run(rate=50.0)) == ["rate: 100.0 and 50.0"]


def test_ranks() -> None:
    assert rank_z([1, 2, 3], [1, 2, 3]) == 0.0
    assert rank_z([1, 2, 3], [4, 5, 6]) == pytest.approx(1.9640, abs=1e-4)  # U = 9, mean 4.5, deviation 2.2913
    assert judged(1.04, list(range(20)), list(range(100, 120))) == "noise"


def test_a_run_is_kept_and_read_again_and_drawn() -> None:
    run = made_run()
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run
    findings = analysis_of_run(run)
    text = page(run, findings, verdict(findings))
    assert text.count("<svg") == 6 and text.count("<figcaption>") == 6
    assert "<script" not in text and "url(" not in text and "src=" not in text
    assert "&lt;img" in page(msgspec.structs.replace(run, url="<img src=x>"), findings, "x")


def test_axes_have_round_marks_around_all_values() -> None:
    assert [text for _, text in linear(87, "").ticks] == ["0", "20", "40", "60", "80", "100"]
    assert [text for _, text in logarithmic([3.0, 45.0], "").ticks] == ["2 ms", "5 ms", "10 ms", "20 ms", "50 ms"]
    axis = logarithmic([0.4, 30_000.0], "")
    assert [text for _, text in axis.ticks] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
    assert axis.share(0.0) == 0.0 and axis.share(60_000) == 1.0


RAW = """main (cluster/worker.py:110);run (uvloop/__init__.py:92);Runner.run (asyncio/runners.py:118);go (web/a.py:1) 3
main (cluster/worker.py:110);run (uvloop/__init__.py:92);Runner.run (asyncio/runners.py:118);go (web/a.py:7) 2
main (cluster/worker.py:110);run (uvloop/__init__.py:92);Runner.run (asyncio/runners.py:118) 5
bootstrap (threading.py:1);_worker (concurrent/futures/thread.py:81) 4"""


def test_samples_are_added_by_function_and_what_waits_is_left_out() -> None:
    run = ("main (cluster/worker.py)", "run (uvloop/__init__.py)", "Runner.run (asyncio/runners.py)")
    found = merged(RAW.splitlines(), 2, 1.0)
    assert (found.stacks, found.waiting, found.total) == ({(*run, "go (web/a.py)"): 5}, 9, 5)
    assert merged(RAW.splitlines(), 2, 1.0, waiting=True).total == 14


def test_a_flame_graph_is_as_wide_as_the_samples() -> None:
    svg = flame_svg(Samples({("a (web/a.py)", "b<c> (db/b.py)"): 3, ("a (web/a.py)",): 1}, 2, 1, 5.0))
    assert "4 samples of 1 workers in 5 s (2 more waited for work)" in svg
    assert '<title>b&lt;c&gt; (db/b.py): 3 samples, 75.0%</title><rect x="10.00"' in svg
    assert 'width="885.00"' in svg and 'width="1180.00"' in svg
    assert (colour("f (web/a.py)"), colour("f (json/a.py)")) == (COLOURS["web"], LIBRARIES)
    assert (fitting("abcdef", 200), fitting("abcdefghij", 40), fitting("abcdef", 20)) == ("abcdef", "abcd…", "")
    assert "all workers" in flame_svg(Samples({}, 0, 1, 1.0))


def test_what_py_spy_misses_is_said() -> None:
    assert _reason("Permission Denied: Try running again with elevated permissions").startswith(
        "py-spy may not look into the workers (ptrace is not permitted): run it as root"
    )
    assert _reason("py-spy> Sampling\nError: something new\nCaused by") == "py-spy failed: something new"
    with pytest.raises(CannotSample, match=r"the workers \[4194999\] are not on this machine"):
        sampled([4_194_999], 1, 10)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--url", "ftp://x"), 2, "--url: needed http://HOST:PORT, got 'ftp://x'"),
        (("--url", "http://x:99999"), 2, "--url: needed http://HOST:PORT, got 'http://x:99999'"),
        (("--url", "http://127.0.0.1:1"), 3, "--url: http://127.0.0.1:1 does not answer (ConnectError): is it"
         " running?"),
        (("--mix", "employee=40,nobody"), 2, "--mix: needed name=weight,... with names of me, employee, month,"
         " department, today, stats, punch, mark; got 'nobody'"),
        (("--mix", "mark=1"), 2, "--mix: mark would change data: add --writes if that is meant"),
        (("--writes", "--user", "a@b.example"), 2, "--writes: changes data that may not be the demo company's: add"
         " --force if that is meant"),
        (("--compare", "/nowhere/a", "/nowhere/b"), 1, "/nowhere/a cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(arguments: tuple[str, ...], code: int, said: str) -> None:
    result = rollcall("perf", "load-test", *arguments)
    assert (result.exit_code, result.output) == (code, f"{said}\n")


def test_the_service_that_is_not_there_and_files_that_are_none(tmp_path: Path) -> None:
    for command in (("doctor",), ("flame",), ("analyze",)):
        result = rollcall("perf", *command)
        assert (result.exit_code, result.output.partition(" (")[0]) == (
            3,
            "the status port at http://127.0.0.1:1 does not answer",
        )
    (tmp_path / "x.json").write_text("{}")
    result = rollcall("perf", "analyze", tmp_path / "x.json")
    assert (result.exit_code, result.output) == (
        1, f"{tmp_path / 'x.json'} is not a run that `rollcall perf load-test --json` kept\n"
    )  # fmt: skip


def test_compared_files_and_an_analysed_one(tmp_path: Path) -> None:
    for name, run in (("a", made_run()), ("b", made_run(1.5, seed=2))):
        (tmp_path / name).write_bytes(msgspec.json.encode(run))
    result = rollcall("perf", "load-test", "--compare", tmp_path / "a", tmp_path / "b")
    assert result.exit_code == 1 and "worse" in result.stdout
    assert rollcall("perf", "load-test", "--compare", tmp_path / "b", tmp_path / "a").exit_code == 0
    found = answered(rollcall("perf", "analyze", tmp_path / "a", "--json"))
    assert found["findings"][0]["about"] == "rate"
