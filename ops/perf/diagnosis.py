"""What `rollcall perf doctor` judges in the last minute of a service: each finding with its evidence and a fix."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ops.doctor import Finding

Stats = Mapping[str, Any]
LONGEST_LAG_MS: Final = 200.0
"""A timer that is late by so much delays every request of its worker; 100 ms come from a busy machine alone."""
LONGEST_COLLECTION_MS: Final = 100.0
MOST_COLLECTING: Final = 0.05
LONGEST_WAIT_MS: Final = 50.0
FEWEST: Final = 5
"""So few executions or splits in a minute are left alone."""
FEWEST_LOOKUPS: Final = 50
LOWEST_HIT_RATE: Final = 0.5
SLOW_MS: Final = 500.0


def diagnosis(stats: Stats) -> list[Finding]:
    """Everything that is wrong, else one line that says what was looked at."""
    found = [
        *of_loop(stats),
        *of_collections(stats),
        *of_pool(stats),
        *of_splits(stats),
        *of_repetition(stats),
        *of_cache(stats),
        *of_operations(stats),
    ]
    if found:
        return found
    pressure, total = stats["pressure"], stats["total"]
    times = "nothing was asked" if total["p95_ms"] is None else f"p95 {total['p95_ms']:g} ms"
    looked = f"{total['requests_per_s']:g} requests/s in {pressure['window_s']:g} s, {times}"
    return [Finding("ok", "service", f"{looked}, longest lag {pressure['longest_lag_ms']:g} ms")]


def of_loop(stats: Stats) -> Iterator[Finding]:
    """Whether something holds the event loop up."""
    lag_ms = stats["pressure"]["longest_lag_ms"]
    if lag_ms <= LONGEST_LAG_MS:
        return
    worst = max(stats["workers"], key=lambda worker: worker["event_loop_lag_ms"], default=None)
    now = f"; {worst['name']} is {worst['event_loop_lag_ms']:g} ms late now, CPU {worst['cpu']:.0%}" if worst else ""
    found = f"a timer was {lag_ms:,.0f} ms late in the last minute{now}"
    change = "see what ran: rollcall perf flame. With little CPU used: more processors, or fewer workers"
    yield Finding("warning", "event loop", found, change)


def of_collections(stats: Stats) -> Iterator[Finding]:
    """Whether workers stand still to collect garbage."""
    pressure = stats["pressure"]
    of = pressure["collections"]
    total_ms = sum(one["total_ms"] for one in of.values())
    longest_ms = max((one["longest_ms"] or 0 for one in of.values()), default=0)
    share = total_ms / 1e3 / max(pressure["window_s"] * max(len(stats["workers"]), 1), 1)
    if longest_ms <= LONGEST_COLLECTION_MS and share <= MOST_COLLECTING:
        return
    counted = ", ".join(f"{one['count']} of {name}" for name, one in of.items() if one["count"])
    found = f"{total_ms:,.0f} ms in collections of garbage ({share:.1%}), the longest {longest_ms:,.0f} ms: {counted}"
    change = "find what makes or keeps so many objects: rollcall perf flame; smaller pages (first:) make fewer"
    yield Finding("warning", "garbage", found, change)


def of_pool(stats: Stats) -> Iterator[Finding]:
    """Whether requests wait for connections to PostgreSQL."""
    waits, timeouts = stats["pressure"]["pool_waits"], stats["pressure"]["pool_timeouts"]
    if not timeouts and (waits["count"] < FEWEST or waits["p95_ms"] <= LONGEST_WAIT_MS):
        return
    total = stats["total"]
    found = (
        f"{waits['count']:,} waits for a connection, p95 {waits['p95_ms'] or 0:,.0f} ms, {timeouts} in vain;"
        f" pool of {total['db_pool_size']} over {len(stats['workers'])} workers"
    )
    longest = max(
        stats["statements"].items(), key=lambda item: item[1]["per_s"] * (item[1]["p95_ms"] or 0), default=None
    )
    held = f"; {longest[0]} holds them longest" if longest and longest[1]["p95_ms"] else ""
    yield Finding("warning", "pool", found, f"raise DB_POOL_SIZE, or make statements shorter{held}")


def of_splits(stats: Stats) -> Iterator[Finding]:
    """Whether batches are cut into several statements."""
    for loader, number in stats["pressure"]["splits"].items():
        if number >= FEWEST:
            found = f"{number:,} batches of {loader} were too large for one statement"
            yield Finding("warning", "split", found, "ask for smaller pages (first:), or raise most_keys of the Batch")


def of_repetition(stats: Stats) -> Iterator[Finding]:
    """Whether an operation sends a statement for each row: N+1."""
    for operation, of in stats["pressure"]["executions"].items():
        for statement, executions in of["repeated"].items():
            if executions >= FEWEST:
                times = of["times"][statement] / executions
                found = f"{operation} sends {statement} {times:,.0f} times an execution ({executions} executions)"
                yield Finding("warning", "N+1", found, f"look {statement} up through a Batch, all rows at once")


def of_cache(stats: Stats) -> Iterator[Finding]:
    """Whether answers come from PostgreSQL that the cache should have."""
    pressure, cache = stats["pressure"], stats["cache"]
    hits = sum(of["hits"] for of in pressure["lookups"].values())
    misses = sum(of["misses"] for of in pressure["lookups"].values())
    bypassed = sum(pressure["bypasses"].values())
    asked = hits + misses + bypassed
    if asked < FEWEST_LOOKUPS or hits / asked >= LOWEST_HIT_RATE:
        return
    worst = sorted(pressure["lookups"].items(), key=lambda item: -item[1]["misses"])[:3]
    named = ", ".join(f"{name} {of['misses']:,} of {of['hits'] + of['misses']:,}" for name, of in worst)
    found = f"{asked - hits:,} of {asked:,} lookups missed" + (f": {named}" if named else "")
    if bypassed:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in pressure["bypasses"].items())
        yield Finding("warning", "cold cache", f"{found}; past the cache: {reasons}", "rollcall cache health says why")
        return
    if cache["fence_s"] == 0:
        yield Finding("warning", "cold cache", f"{found}; the fence has lapsed", "rollcall cache health says why")
        return
    change = (
        "after a flush or a start: rollcall cache warm. Else what changes or expires so often: rollcall cache stats"
    )
    yield Finding("warning", "cold cache", found, change)


def of_operations(stats: Stats) -> Iterator[Finding]:
    """Which operations are slow, and whether their statements or their resolvers are."""
    for operation, of in stats["operations"].items():
        recent = round(of["per_s"] * stats["window_s"])
        if recent < FEWEST or (of["p95_ms"] or 0) <= SLOW_MS or operation.startswith("http "):
            continue
        executed = stats["pressure"]["executions"].get(operation)
        if executed is None:
            found = f"{operation}: p50 {of['p50_ms']:,.0f}, p95 {of['p95_ms']:,.0f} ms, all from kept answers"
            yield Finding("warning", "slow operation", found, "the time goes before the execution: rollcall perf flame")
            continue
        kinds = ("seconds", "sql_seconds", "waited_seconds")
        each_ms, sql_ms, waited_ms = (executed[name] * 1e3 / executed["count"] for name in kinds)
        found = (
            f"{operation}: p50 {of['p50_ms']:,.0f}, p95 {of['p95_ms']:,.0f} ms; an execution takes {each_ms:,.0f} ms,"
            f" its {executed['statements'] / executed['count']:,.1f} statements {sql_ms:,.0f} ms,"
            f" waits for a connection {waited_ms:,.0f} ms"
        )
        about, change = _cause(each_ms, sql_ms, waited_ms)
        yield Finding("warning", about, found, change)


def _cause(each_ms: float, sql_ms: float, waited_ms: float) -> tuple[str, str]:
    """Where most of the time of an execution goes, and what to do."""
    if waited_ms > each_ms / 2:
        return "slow operation", "it waits for the pool: raise DB_POOL_SIZE, or make statements shorter"
    if sql_ms > each_ms / 2:
        return "slow statement", "rollcall db slow-query report"
    return "slow resolver", "its resolvers wait or compute: rollcall perf flame"
