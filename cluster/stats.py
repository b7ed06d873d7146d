"""What `GET /cluster/stats` answers: figures for people and scripts, of each worker and in total."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cluster.observatory import RECENT, WINDOW, Observatory
from cluster.pressure import load, pressure
from telemetry.histogram import percentile_s

SILENT: Final = timedelta(seconds=5)
PERCENTILES: Final = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
MANY_FAILED: Final = (5, 0.01)
"""As many as this, and as large a share as the alert RollcallErrors has, are no accident."""
PER_WORKER: Final = ("requests", "in_flight", "connections", "event_loop_lag_ms", "rss_bytes")


def health(observatory: Observatory) -> dict[str, Any]:
    """Whether the service does what it should: `ok`, `degraded` (and why), or `down` when no worker serves."""
    snapshot = observatory.snapshot
    serving = sum(worker["serves"] for worker in observatory.workers)
    wanted = snapshot.get("workers", 0)
    reasons = [f"{serving} of {wanted} workers serve"] if serving < wanted else []
    if time.monotonic() - observatory.heard_s > SILENT.total_seconds():
        reasons.append(f"the supervisor was not heard for {SILENT.total_seconds():g} s")
    if snapshot.get("stopping"):
        reasons.append("the service is stopping")
    reasons += [f"{name}: {state['error']}" for name, state in observatory.servers.items() if state.get("error")]
    reasons += _failing(observatory)
    status = "down" if not serving else "degraded" if reasons else "ok"
    return {"status": status, "serving": serving, "wanted": wanted, "reasons": reasons}


def _failing(observatory: Observatory) -> list[str]:
    """That many requests fail now, if so."""
    window, _ = observatory.within(RECENT)
    failed, answered = _errors(window), sum(timing["count"] for timing in window.get("operations", {}).values())
    least, share = MANY_FAILED
    if failed < least or failed < share * answered:
        return []
    return [f"{failed} of {answered} requests failed in the last {RECENT.total_seconds():g} s"]


def stats(observatory: Observatory) -> dict[str, Any]:
    """Everything; rates and percentiles are of the last minute, all else since the start."""
    snapshot, total = observatory.snapshot, observatory.total
    window, window_s = observatory.within(WINDOW)
    return {
        "at": time.time(),
        "health": health(observatory),
        "window_s": round(window_s, 1),
        "clustered": snapshot.get("clustered", False),
        "restarts": snapshot.get("restarts", 0),
        "total": _total(observatory, window, window_s),
        "workers": [_worker(observatory, worker) for worker in observatory.workers],
        "operations": _timings(total, window, window_s, "operations"),
        "cache": cache_figures(total, window) | _cache_now(observatory),
        "statements": _timings(total, window, window_s, "statements"),
        "slow_statements": list(observatory.slow)[-20:],
        "pressure": pressure(observatory),
        "lives": snapshot["lives"],
        "versions": observatory.versions,
        **observatory.servers,
    }


def statements(observatory: Observatory) -> dict[str, Any]:
    """What `GET /cluster/statements` answers: SQL statements by name, who sent them, and the latest slow ones."""
    window, window_s = observatory.within(WINDOW)
    return {
        "at": time.time(),
        "window_s": round(window_s, 1),
        "statements": _timings(observatory.total, window, window_s, "statements"),
        "senders": observatory.total.get("senders", {}),
        "slow_statements": list(observatory.slow),
    }


def point(observatory: Observatory) -> dict[str, Any]:
    """One point of the curves on the page: the last ten seconds."""
    window, window_s = observatory.within(RECENT)
    return {
        "at": time.time(),
        "per_s": _rate(window.get("http", {}).get("requests", 0), window_s),
        "errors_per_s": _rate(_errors(window), window_s),
        **_percentiles(_buckets(window.get("operations", {}))),
        "lag_ms": max((worker.get("event_loop_lag_ms", 0) for worker in observatory.workers), default=0),
        **load(observatory, window),
        "hit_rate": {name: found["hit_rate"] for name, found in cache_figures(window, window)["loaders"].items()},
    }


def cache_figures(total: Mapping[str, Any], window: Mapping[str, Any]) -> dict[str, Any]:
    """Hits, misses and fills by loader, and of whole answers by viewer; hit rates are those of the window."""
    counters, recent = total.get("counters", {}), window.get("counters", {})
    fills = counters.get("cache_fills", {})
    loaders = _hits_and_misses(counters, recent, "cache")
    return {
        "hit_rate": _share(sum(recent.get("cache_hits", {}).values()), sum(recent.get("cache_misses", {}).values())),
        "loaders": {name: found | {"fills": fills.get(name, 0)} for name, found in loaders.items()},
        "viewers": _hits_and_misses(counters, recent, "answer"),
        "answers": counters.get("responses", {}),
        "shared_answers": counters.get("shared_answers", {}),
        "bypasses": counters.get("cache_bypasses", {}),
        "failures": counters.get("cache_failures", {}),
        "writes": counters.get("writes", {}),
        "verified": counters.get("cache_verified", {}),
        "stale": counters.get("cache_stale", {}),
    }


def _hits_and_misses(counters: Mapping[str, Any], recent: Mapping[str, Any], of: str) -> dict[str, dict[str, Any]]:
    hits, misses = counters.get(f"{of}_hits", {}), counters.get(f"{of}_misses", {})
    hits_now, misses_now = recent.get(f"{of}_hits", {}), recent.get(f"{of}_misses", {})
    return {
        name: {
            "hits": hits.get(name, 0),
            "misses": misses.get(name, 0),
            "hit_rate": _share(hits_now.get(name, 0), misses_now.get(name, 0)),
        }
        for name in sorted({*hits, *misses})
    }


def _cache_now(observatory: Observatory) -> dict[str, Any]:
    """What the two servers say of the cache at this moment, and what the workers' writers hold."""
    database, redis = (observatory.servers.get(name, {}) for name in ("database", "redis"))
    return {
        "tags_held": sum(worker.get("gauges", {}).get("cache_tags_held", 0) for worker in observatory.workers),
        "fence_s": redis.get("fence_s"),
        "keys": redis.get("keys"),
        "memory_bytes": redis.get("used_memory_bytes"),
        "outbox_rows": database.get("outbox_rows"),
        "outbox_age_s": database.get("outbox_age_s"),
        "suspended": database.get("cache_suspended"),
    }


def _total(observatory: Observatory, window: Mapping[str, Any], window_s: float) -> dict[str, Any]:
    workers, http = observatory.workers, observatory.total.get("http", {})
    gauges = [worker.get("gauges", {}) for worker in workers]
    return {
        "requests": http.get("requests", 0),
        "errors": _errors(observatory.total),
        "requests_per_s": _rate(window.get("http", {}).get("requests", 0), window_s),
        **_percentiles(_buckets(window.get("operations", {}))),
        "in_flight": sum(worker.get("in_flight", 0) for worker in workers),
        "connections": sum(worker.get("connections", 0) for worker in workers),
        "event_loop_lag_ms": max((worker.get("event_loop_lag_ms", 0) for worker in workers), default=0),
        "cpu": round(sum(observatory.cpu_share(worker["pid"]) for worker in workers), 3),
        "rss_bytes": sum(worker.get("rss_bytes", 0) for worker in workers),
        "db_pool_in_use": sum(gauge.get("db_pool_in_use", 0) for gauge in gauges),
        "db_pool_size": sum(gauge.get("db_pool_size", 0) for gauge in gauges),
        "sql_statements": sum(t["count"] for t in observatory.total.get("statements", {}).values()),
    }


def _worker(observatory: Observatory, report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": report["name"],
        "pid": report["pid"],
        "serves": report["serves"],
        "began": report["began"],
        **{name: report.get(name, 0) for name in PER_WORKER},
        "errors": _errors(report.get("sums", {})),
        "cpu": round(observatory.cpu_share(report["pid"]), 3),
        **_percentiles(_buckets(report.get("sums", {}).get("operations", {}))),
        **report.get("gauges", {}),
    }


def _timings(total: Mapping[str, Any], window: Mapping[str, Any], window_s: float, kind: str) -> dict[str, Any]:
    recent = window.get(kind, {})
    return {
        name: {
            "count": timing["count"],
            "errors": timing["errors"],
            "total_s": round(timing["seconds"], 3),
            "per_s": _rate(recent.get(name, {}).get("count", 0), window_s),
            **_percentiles(recent.get(name, {}).get("buckets", {})),
        }
        for name, timing in sorted(total.get(kind, {}).items())
    }


def _errors(sums: Mapping[str, Any]) -> int:
    """Requests that failed by our fault, whatever the operation."""
    return sum(timing["errors"] for timing in sums.get("operations", {}).values())


def _buckets(timings: Mapping[str, Any]) -> Mapping[str, float]:
    merged: dict[str, float] = {}
    for timing in timings.values():
        for bucket, number in timing["buckets"].items():
            merged[bucket] = merged.get(bucket, 0) + number
    return merged


def _percentiles(buckets: Mapping[str, float]) -> dict[str, float | None]:
    found = {name: percentile_s(buckets, share) for name, share in PERCENTILES.items()}
    return {name: None if seconds is None else round(seconds * 1e3, 2) for name, seconds in found.items()}


def _rate(number: float, seconds: float) -> float:
    return round(number / seconds, 2) if seconds else 0.0


def _share(hits: int, misses: int) -> float | None:
    return round(hits / (hits + misses), 4) if hits + misses else None
