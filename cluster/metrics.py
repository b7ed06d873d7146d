"""`GET /metrics`: the sums over all workers, the dead ones included, as Prometheus reads them.

Labels are bounded: operations by telemetry/timings.py, everything else by our own code.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from cluster.observatory import Observatory
from telemetry.histogram import LAST, PER_DOUBLING, bound_s

COUNTERS: Final = {
    "cache_hits": ("loader", "Keys found in the second-level cache."),
    "cache_misses": ("loader", "Keys that had to be asked of the database."),
    "replica_reads": (
        "outcome",
        "Reads by a replica: answered, alone (no primary), behind, overtaken, unknown.",
    ),
    "cache_bypasses": ("reason", "Keys looked up or stored past the cache, by reason."),
    "cache_failures": ("error", "Redis commands that failed."),
    "cache_undecodable": ("loader", "Entries that could not be read and counted as misses."),
    "cache_fills": ("loader", "Entries stored."),
    "cache_shared": (
        "loader",
        "Keys that a request got from a statement which another request of its worker had begun.",
    ),
    "cache_waits": ("loader", "Keys that a worker waited for because another one was loading them."),
    "cache_renewed": ("loader", "Entries made anew shortly before their life ended, while they were still served."),
    "cache_verified": (
        "verdict",
        "Hits compared with PostgreSQL: same, different, overtaken by a write, skipped, failed.",
    ),
    "cache_stale": ("loader", "Hits that were not what PostgreSQL said: alarm, for nothing that is served is stale."),
    "warming": ("outcome", "Frequent queries executed before anybody asked: warmed, or why not."),
    "cache_invalidated": ("", "Tags restamped without a write: by an alarm, or by hand."),
    "cache_drained": ("", "Tags restamped by the drain."),
    "cache_epochs": ("", "New epochs of the cache: Redis or PostgreSQL was another one."),
    "batch_splits": ("loader", "Batches that were too large for one statement."),
    "slow_plans": ("outcome", "Plans of slow statements: kept, failed, or busy with another."),
    "drain_failures": ("error", "Rounds of the drain that failed."),
    "upkeep_failures": ("error", "Rounds of the upkeep that failed."),
    "upkeep_days": ("", "Attendance days that the upkeep changed."),
    "writes": ("way", "Units of work that changed cached data: held (normal) or suspended (without Redis)."),
    "db_pool_timeouts": ("", "Requests that found no free connection to PostgreSQL in time."),
    "request_error_codes": ("code", "Errors in GraphQL answers."),
    "request_disconnects": ("", "Requests whose client left before the answer."),
    "responses": (
        "outcome",
        "Whole answers: hit (kept by the worker), shared (made by another worker), stored, or why not.",
    ),
    "shared_answers": (
        "outcome",
        "Whole answers in Redis, where all workers find them: hit, miss (executed then), stored, large (not stored).",
    ),
    "answer_hits": ("viewer", "Queries answered whole from the cache, by the first role of their viewer."),
    "answer_misses": ("viewer", "Queries that were executed, by the first role of their viewer."),
    "subscription_events": (
        "outcome",
        "Executions for subscriptions: sent, same (nothing new, or a server is away for a moment), failed; "
        "refused: a subscription or WebSocket too many for the worker, or for its user.",
    ),
    "sql_statements": ("statement", "Statements sent to PostgreSQL."),
}
"""Counters of telemetry by name: what their label is, and what they mean."""

GAUGES: Final = {
    "workers": "Workers that serve.",
    "workers_wanted": "Workers that should serve.",
    "requests_in_flight": "Requests being answered.",
    "connections": "Open client connections.",
    "subscriptions": "Subscriptions that clients follow.",
    "sockets": "Open WebSockets.",
    "db_pool_in_use": "Connections to PostgreSQL lent out, over all workers.",
    "db_pool_size": "Connections to PostgreSQL that the workers may open.",
    "cache_breakers_open": "Workers that do not ask Redis because it failed a moment ago.",
    "cache_tags_held": "Tags that writers of all workers hold: nothing that depends on them is served.",
    "database_up": "Whether PostgreSQL answers the status process.",
    "redis_up": "Whether Redis answers the status process.",
    "cache_outbox_rows": "Committed changes that the drain has not announced yet.",
    "cache_outbox_age_seconds": "How long the drain has left the outbox unread while there was something in it.",
    "cache_fence_seconds": "How long the cache may still be used without a renewal; 0: it is off.",
}
PER_WORKER: Final = {
    "event_loop_lag_seconds": "Longest delay of the event loop within the last second.",
    "resident_memory_bytes": "Memory that the worker holds.",
}
CERTIFICATE: Final = "How long the TLS certificate that workers serve is still valid; nothing without TLS."
_BOUNDS: Final = tuple(range(2 * PER_DOUBLING, LAST, PER_DOUBLING))


def exposition(observatory: Observatory) -> bytes:
    """The text format, version 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Collector(observatory))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, observatory: Observatory) -> None:
        self._observatory = observatory

    def collect(self) -> Iterator[Metric]:
        """All families."""
        total = self._observatory.total
        yield from _timings(total.get("operations", {}))
        yield from _statements(total.get("statements", {}))
        yield from _pauses(total)
        counters = total.get("counters", {})
        for name, (label, about) in COUNTERS.items():
            yield _counter(name, about, label, counters.get(name, {} if label else {"": 0}))
        yield _counter("worker_restarts", "Workers replaced after a death.", "", {"": self._snapshot("restarts")})
        yield _counter(
            "cpu_seconds", "Processor time of the workers.", "", {"": total.get("process", {}).get("cpu_s", 0)}
        )
        for name, value in self._gauges().items():
            yield GaugeMetricFamily(f"rollcall_{name}", GAUGES[name], value=value)
        yield from self._certificate()
        yield from self._per_worker()
        versions = self._observatory.versions
        info = GaugeMetricFamily("rollcall_build_info", "Versions, always 1.", labels=list(versions))
        info.add_metric(list(versions.values()), 1)
        yield info

    def _snapshot(self, name: str) -> float:
        return float(self._observatory.snapshot.get(name, 0))

    def _gauges(self) -> dict[str, float]:
        workers, servers = self._observatory.workers, self._observatory.servers
        gauges = [worker.get("gauges", {}) for worker in workers]
        database, redis = servers.get("database", {}), servers.get("redis", {})
        return {
            "workers": sum(worker["serves"] for worker in workers),
            "workers_wanted": self._snapshot("workers"),
            "requests_in_flight": sum(worker.get("in_flight", 0) for worker in workers),
            "connections": sum(worker.get("connections", 0) for worker in workers),
            "subscriptions": sum(gauge.get("subscriptions", 0) for gauge in gauges),
            "sockets": sum(gauge.get("sockets", 0) for gauge in gauges),
            "db_pool_in_use": sum(gauge.get("db_pool_in_use", 0) for gauge in gauges),
            "db_pool_size": sum(gauge.get("db_pool_size", 0) for gauge in gauges),
            "cache_breakers_open": sum(gauge.get("cache_breaker", "off") not in ("closed", "off") for gauge in gauges),
            "cache_tags_held": sum(gauge.get("cache_tags_held", 0) for gauge in gauges),
            "database_up": float(bool(database.get("up"))),
            "redis_up": float(bool(redis.get("up"))),
            "cache_outbox_rows": float(database.get("outbox_rows") or 0),
            "cache_outbox_age_seconds": float(database.get("outbox_age_s") or 0),
            "cache_fence_seconds": float(redis.get("fence_s") or 0),
        }

    def _certificate(self) -> Iterator[Metric]:
        gauges = [worker.get("gauges", {}) for worker in self._observatory.workers]
        ends = [found["certificate_ends"] for found in gauges if "certificate_ends" in found]
        if ends:
            yield GaugeMetricFamily("rollcall_certificate_seconds", CERTIFICATE, value=round(min(ends) - time.time()))

    def _per_worker(self) -> Iterator[Metric]:
        lag, memory = (
            GaugeMetricFamily(f"rollcall_{name}", about, labels=["worker"]) for name, about in PER_WORKER.items()
        )
        for report in self._observatory.workers:
            lag.add_metric([report["name"]], report.get("event_loop_lag_ms", 0) / 1e3)
            memory.add_metric([report["name"]], report.get("rss_bytes", 0))
        return iter((lag, memory))


def _counter(name: str, about: str, label: str, amounts: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"rollcall_{name}", about, labels=[label] if label else [])
    for value, amount in sorted(amounts.items()):
        family.add_metric([value] if label else [], amount)
    return family


def _timings(operations: Mapping[str, Any]) -> Iterator[Metric]:
    errors = CounterMetricFamily("rollcall_request_errors", "Requests that failed by our fault.", labels=["operation"])
    times = HistogramMetricFamily("rollcall_request_seconds", "Time of requests.", labels=["operation"])
    for name, timing in sorted(operations.items()):
        errors.add_metric([name], timing["errors"])
        times.add_metric([name], _cumulative(timing["buckets"]), timing["seconds"])
    return iter((errors, times))


def _statements(statements: Mapping[str, Any]) -> Iterator[Metric]:
    seconds = CounterMetricFamily("rollcall_sql_seconds", "Time spent waiting for statements.", labels=["statement"])
    errors = CounterMetricFamily("rollcall_sql_errors", "Statements that failed.", labels=["statement"])
    for name, timing in sorted(statements.items()):
        seconds.add_metric([name], timing["seconds"])
        errors.add_metric([name], timing["errors"])
    return iter((seconds, errors))


def _pauses(total: Mapping[str, Any]) -> Iterator[Metric]:
    about = {
        "gc_pause_seconds": ("collections", "generation", "Time that workers stood still to collect garbage."),
        "wait_seconds": ("waits", "for", "Time that requests waited for what others held: a connection of the pool."),
    }
    for name, (kind, label, text) in about.items():
        yield _counter(name, text, label, {of: timing["seconds"] for of, timing in total.get(kind, {}).items()})
        numbers = {of: timing["count"] for of, timing in total.get(kind, {}).items()}
        yield _counter(name.removesuffix("_seconds") + "s", f"{text} How often.", label, numbers)


def _cumulative(buckets: Mapping[str, float]) -> list[tuple[str, float]]:
    """Every fourth bound, from 0.25 ms to 32.8 s: the buckets of Prometheus hold all that came before them."""
    number_by_bucket = {int(name): number for name, number in buckets.items()}
    found = [
        (f"{bound_s(bound):g}", float(sum(n for bucket, n in number_by_bucket.items() if bucket <= bound)))
        for bound in _BOUNDS
    ]
    return [*found, ("+Inf", float(sum(number_by_bucket.values())))]
