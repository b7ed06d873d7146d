"""The last minute: loop lag, collections of garbage, waits for the pool, what operations made PostgreSQL do."""

from collections.abc import Mapping
from typing import Any

from cluster.observatory import WINDOW, Observatory
from telemetry.histogram import percentile_s


def pressure(observatory: Observatory) -> dict[str, Any]:
    """What `rollcall perf doctor` and `perf analyze` judge; all of it is of the last minute."""
    window, window_s = observatory.within(WINDOW)
    counters = window.get("counters", {})
    latest = list(observatory.points)[-round(WINDOW.total_seconds()) :]
    lookups = {
        name: {"hits": counters.get("cache_hits", {}).get(name, 0), "misses": misses}
        for name, misses in sorted(counters.get("cache_misses", {}).items())
        if misses
    }
    return {
        "window_s": round(window_s, 1),
        "longest_lag_ms": max((point["lag_ms"] for point in latest), default=0),
        "collections": {name: _times(of) for name, of in sorted(window.get("collections", {}).items())},
        "pool_waits": _times(window.get("waits", {}).get("db_pool", {})),
        "pool_timeouts": counters.get("db_pool_timeouts", {}).get("", 0),
        "executions": {name: of for name, of in sorted(window.get("executions", {}).items()) if of["count"]},
        "splits": {name: number for name, number in sorted(counters.get("batch_splits", {}).items()) if number},
        "bypasses": {name: number for name, number in sorted(counters.get("cache_bypasses", {}).items()) if number},
        "lookups": lookups,
    }


def load(observatory: Observatory, window: Mapping[str, Any]) -> dict[str, Any]:
    """How busy everything is, for the curves: the busiest worker, the fullest pool, both servers; sums of a window."""
    workers, servers = observatory.workers, observatory.servers
    gauges = [worker.get("gauges", {}) for worker in workers]
    collected = window.get("collections", {}).values()
    return {
        "cpu": round(max((observatory.cpu_share(worker["pid"]) for worker in workers), default=0.0), 3),
        "cpu_all": round(sum(observatory.cpu_share(worker["pid"]) for worker in workers), 3),
        "workers": len(workers),
        "pool": round(max((_share_in_use(gauge) for gauge in gauges), default=0.0), 3),
        "pool_wait_ms": round(window.get("waits", {}).get("db_pool", {}).get("seconds", 0) * 1e3, 1),
        "gc_ms": round(sum(of["seconds"] for of in collected) * 1e3, 1),
        "in_flight": sum(worker.get("in_flight", 0) for worker in workers),
        "database_ms": servers.get("database", {}).get("answer_ms"),
        "redis_ms": servers.get("redis", {}).get("answer_ms"),
        "redis_cpu": servers.get("redis", {}).get("cpu"),
    }


def _share_in_use(gauges: Mapping[str, Any]) -> float:
    size = gauges.get("db_pool_size", 0)
    return gauges.get("db_pool_in_use", 0) / size if size else 0.0


def _times(timing: Mapping[str, Any]) -> dict[str, Any]:
    """Number, total, p95 and longest; the longest is the bound of its bucket, so at most 19 % too much."""
    buckets = timing.get("buckets", {})
    p95_s, longest_s = percentile_s(buckets, 0.95), percentile_s(buckets, 1.0)
    return {
        "count": timing.get("count", 0),
        "total_ms": round(timing.get("seconds", 0) * 1e3, 1),
        "p95_ms": None if p95_s is None else round(p95_s * 1e3, 2),
        "longest_ms": None if longest_s is None else round(longest_s * 1e3, 2),
    }
