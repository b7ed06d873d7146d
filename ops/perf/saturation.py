"""What saturates, in words: from the service's curves, and from what the client of a load test saw."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from ops.doctor import Finding
from ops.perf.figures import ALL, Run

Points = Sequence[Mapping[str, Any]]
FULL, BUSY = 0.85, 0.6
"""Shares of a processor: above the first one queues grow, above the second one peaks are felt."""
SLOW_REDIS_MS: Final = 20.0
SLOW_DATABASE_MS: Final = 50.0
LONG_LAG_MS: Final = 100.0
WINDOW_MS: Final = 10_000.0
"""Sums of a point are those of ten seconds."""


def analysis_of_run(run: Run) -> list[Finding]:
    """Of a load test: whether the rate was held, the client's own part, then the service."""
    return [*_outcome(run), *_client(run), *analysis(run.service, run.machine.get("cores"))]


def analysis(points: Points, cores: int | None = None) -> list[Finding]:
    """Of the curves; one finding for each thing that can saturate."""
    if not points:
        return [
            Finding("note", "service", "no curves: the status port was not asked", "set STATUS_HOST and STATUS_PORT")
        ]
    return [_workers(points, cores), _pool(points), _redis(points), _database(points), _loop(points), _garbage(points)]


def verdict(findings: Sequence[Finding]) -> str:
    """One sentence."""
    full = [finding.about for finding in findings if finding.level == "error"]
    busy = [finding.about for finding in findings if finding.level == "warning"]
    if full:
        return f"Saturated: {', '.join(full)}."
    return f"Not saturated, but near it or slow: {', '.join(busy)}." if busy else "Nothing saturates."


def _outcome(run: Run) -> Iterator[Finding]:
    found = f"{run.achieved_per_s:,.1f} good answers/s of {run.rate:g} asked for"
    if run.failed:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in run.errors.items())
        found += f"; {run.failed:,} of {run.intended:,} failed: {kinds}"
    latency = run.operations[ALL].latency
    if latency is not None:
        found += f"; p50 {latency.p50:,.1f}, p99 {latency.p99:,.1f} ms"
    change = "" if run.held else "what follows says what was in the way"
    yield Finding("ok" if run.held else "error", "rate", found, change)


def _client(run: Run) -> Iterator[Finding]:
    if run.client_cpu >= FULL:
        found = f"the client used {run.client_cpu:.0%} of a processor: the latencies are its own"
        yield Finding("error", "client", found, "ask for less, or start a second client elsewhere")
    late = run.late_ms
    if late is not None and late.p95 > LONG_LAG_MS:
        found = f"p95 {late.p95:,.0f} ms until a connection was free (at most {run.connections_at_most})"
        yield Finding(
            "warning", "connections", found, "the service keeps all of them busy; more (--connections) only wait there"
        )
    load, cores = run.machine.get("load"), run.machine.get("cores")
    if load and cores and load > cores:
        found = f"load {load:g} on {cores} processors of the client's machine: it also does something else, or too much"
        yield Finding("warning", "machine", found, "measure on machines of their own before a figure is believed")


def _workers(points: Points, cores: int | None) -> Finding:
    highest, usual = _highest(points, "cpu"), _usual(points, "cpu")
    together, workers = _highest(points, "cpu_all"), max(int(point.get("workers", 1)) for point in points)
    found = f"the busiest of {workers} used {highest:.0%} of a processor ({usual:.0%} usually), all {together:.0%}"
    if highest < BUSY:
        return Finding("ok", "worker CPU", found)
    uneven = together and highest * workers / together > 1.5
    if uneven:
        change = "the load is uneven: more connections, or KEEP_ALIVE_MAX_REQUESTS lower"
    elif cores and workers < cores:
        change = f"CLUSTER_WORKERS={cores}: there are processors left"
    else:
        change = "more processors or another node; rollcall perf flame says where the time goes"
    return Finding("error" if highest >= FULL else "warning", "worker CPU", found, change)


def _pool(points: Points) -> Finding:
    highest, waited_ms = _highest(points, "pool"), _highest(points, "pool_wait_ms")
    found = f"the fullest pool was lent out to {highest:.0%}; requests waited {waited_ms:,.0f} ms for it in ten seconds"
    if waited_ms > WINDOW_MS / 10:
        return Finding("error", "pool", found, "raise DB_POOL_SIZE if PostgreSQL has room, else shorten its statements")
    return Finding("warning" if waited_ms > 0 else "ok", "pool", found)


def _redis(points: Points) -> Finding:
    cpu, answer_ms = _highest(points, "redis_cpu"), _usual(points, "redis_ms")
    found = f"answers in {answer_ms:g} ms usually, {cpu:.0%} of a processor at most"
    if cpu >= FULL:
        return Finding("error", "Redis", found, "its one thread is full: another Redis, or a Cluster")
    slow = answer_ms > SLOW_REDIS_MS
    return Finding(
        "warning" if slow else "ok", "Redis", found, "it is far away, or short of a processor" if slow else ""
    )


def _database(points: Points) -> Finding:
    answer_ms = _usual(points, "database_ms")
    found = f"a small question takes {answer_ms:g} ms usually"
    slow = answer_ms > SLOW_DATABASE_MS
    return Finding("warning" if slow else "ok", "PostgreSQL", found, "rollcall db slow-query report" if slow else "")


def _loop(points: Points) -> Finding:
    highest, usual = _highest(points, "lag_ms"), _usual(points, "lag_ms")
    found = f"timers were late by {usual:g} ms usually, {highest:g} ms at most"
    if usual > LONG_LAG_MS:
        return Finding("error", "event loop", found, "something blocks it, or the machine has no processor for it")
    return Finding("warning" if highest > LONG_LAG_MS else "ok", "event loop", found)


def _garbage(points: Points) -> Finding:
    workers = max(int(point.get("workers", 1)) for point in points)
    share = _highest(points, "gc_ms") / (WINDOW_MS * max(workers, 1))
    found = f"{share:.1%} of the time of workers at most"
    return Finding(
        "warning" if share > 0.05 else "ok", "garbage", found, "rollcall perf doctor" if share > 0.05 else ""
    )


def _highest(points: Points, name: str) -> float:
    return max((point.get(name) or 0 for point in points), default=0)


def _usual(points: Points, name: str) -> float:
    return round(median(point.get(name) or 0 for point in points), 3)
