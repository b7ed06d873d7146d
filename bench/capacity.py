"""How many workers and how much of each server a company needs at its busiest: a simulation from measured costs.

python -m bench.capacity [--costs FILE] [--json] [--page PAGE]; FILE is what `python -m bench.cost` measured. A minute
of the morning peak is drawn: who checks in, which managers look at their team, who asks for statistics. Every request
costs what was measured for its kind and for what the cache had; what a check-in invalidates is followed entry by entry.
The workers are one queue with as many servers, so the waiting times are those of requests that come at once.
"""

import heapq
import json
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

COSTS: Final = Path(__file__).parent / "costs.json"
SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
MOST_EVENTS: Final = 400_000
WARM_UP: Final = 180
"""Seconds that are drawn before the minute that counts, so that it finds the caches as they are."""
SECONDS: Final = WARM_UP + 60
OF_EVERYBODY: Final = ("today", "stats_by_department_and_month")
"""What an analyst asks of the whole company: PostgreSQL reads as many rows as it has people and days."""
COSTS_HEAD: Final = ("one request", "worker ms", "PostgreSQL ms", "Valkey ms", "statements")
PEAKS_HEAD: Final = (
    "employees", "req/s", "from kept answers", "workers", "p95 ms", "PostgreSQL cores",
    "and for questions about everybody", "statements/s", "Valkey cores", "GB of disk a year",
)  # fmt: skip
TABLE: Final = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
BUSY: Final = 0.6
"""The share of its processors that a part may use at the peak; the rest is for bursts and for a part that fails."""


class Cost(msgspec.Struct, frozen=True):
    """Processor time of one request in milliseconds, and its statements."""

    worker_ms: float
    postgres_ms: float
    redis_ms: float
    statements: float


class Costs(msgspec.Struct, frozen=True):
    """What was measured; by kind of request: answered from kept answers, executed, and a check-in with a check-out."""

    machine: str
    measured_on: str
    employees: int
    hit: dict[str, Cost]
    executed: dict[str, Cost]
    check: Cost
    day_bytes: float
    """Disk of one day of one employee: its punches, day, roll-up and indexes."""


class Habits(msgspec.Struct, frozen=True):
    """What people do in the busiest minute; the defaults are assumptions, to be replaced by one's own figures."""

    largest_zone: float = 0.5
    """Share of the company that begins its day together."""
    check_ins_per_s: float = 0.6 / 1800
    """Of an employee of that zone: six in ten check in within the same half hour."""
    team: int = 12
    looks_per_s: float = 0.3 / 60
    """Of a manager: three in ten have their team open, and it asks every minute."""
    analysts: float = 0.001
    questions_per_s: float = 0.2 / 60
    """Of an analyst: one in five asks once a minute."""


class Load(msgspec.Struct, frozen=True):
    """What the peak asks of each part."""

    employees: int
    requests_per_s: float
    hits: float
    """Share of the queries that kept answers gave."""
    workers: int
    p95_ms: float
    worker_cores: float
    postgres_cores: float
    statistics_cores: float
    """Of PostgreSQL, for what is asked of everybody; not within `postgres_cores`."""
    redis_cores: float
    statements_per_s: float
    disk_gb_per_year: float


def arrivals(employees: int, habits: Habits, draw: random.Random) -> Iterator[tuple[float, str, int]]:
    """Instant, kind and team of each request of the minute, in no order."""
    teams = max(1, employees // habits.team)
    for kind, rate in (
        ("check", employees * habits.largest_zone * habits.check_ins_per_s),
        ("one_employee", employees * habits.largest_zone * habits.check_ins_per_s),
        ("employees_50x10", teams * habits.looks_per_s),
        ("stats_by_department_and_month", employees * habits.analysts * habits.questions_per_s),
        ("today", employees * habits.analysts * habits.questions_per_s),
    ):
        at = draw.expovariate(rate)
        while at < SECONDS:
            yield at, kind, draw.randrange(teams)
            at += draw.expovariate(rate)


class Caches:
    """What is kept, by each worker for itself: a check-in changes the entries of its team and those of everybody.

    A client stays with its connection, and so with its worker.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._changes: dict[int, int] = {}
        self._all = 0
        self._kept: dict[tuple[int, str, int], int] = {}

    def change(self, team: int) -> None:
        """A check-in."""
        self._changes[team] = self._changes.get(team, 0) + 1
        self._all += 1

    def holds(self, kind: str, team: int) -> bool:
        """Whether the worker that is asked has the answer as it is now; it has from here on."""
        worker = team % self._workers
        whole = kind in OF_EVERYBODY
        version = self._all if whole else self._changes.get(team, 0)
        key = (worker, kind, 0 if whole else team)
        kept = self._kept.get(key) == version
        self._kept[key] = version
        return kept


def simulate(employees: int, costs: Costs, habits: Habits, seed: int = 7) -> Load:
    """The load of a company, with as few workers as keep within BUSY.

    A company too large to draw is drawn as one of its shards, whose teams are independent of the others; what is of
    everybody is executed nearly every time in a shard already, and costs what it costs over all of them.
    """
    expected = (
        SECONDS * employees * (2 * habits.largest_zone * habits.check_ins_per_s + habits.looks_per_s / habits.team)
    )
    shards = max(1, round(expected / MOST_EVENTS))
    events = sorted(arrivals(employees // shards, habits, random.Random(seed)))  # noqa: S311
    workers = 1
    while True:
        load = _run(events, employees, workers, costs)
        needed = max(1, -(-load.worker_cores // BUSY))
        if workers >= needed:
            return _scaled(load, employees, shards, costs)
        workers = int(needed)


def _run(events: list[tuple[float, str, int]], employees: int, workers: int, costs: Costs) -> Load:
    caches = Caches(workers)
    free = [0.0] * workers
    waits: list[float] = []
    used = [0.0, 0.0, 0.0, 0.0]
    statistics_ms = 0.0
    hits = queries = 0
    for at, kind, team in events:
        kept = kind != "check" and caches.holds(kind, team)
        if kind == "check":
            caches.change(team)
        if at < WARM_UP:
            continue
        queries += kind != "check"
        hits += kept
        cost = costs.check if kind == "check" else (costs.hit if kept else costs.executed)[kind]
        if kind in OF_EVERYBODY and not kept:
            statistics_ms += cost.postgres_ms * employees / costs.employees
            cost = msgspec.structs.replace(cost, postgres_ms=0.0)
        begins = max(at, heapq.heappop(free))
        heapq.heappush(free, begins + cost.worker_ms / 1e3)
        waits.append(begins - at + (cost.worker_ms + cost.postgres_ms + cost.redis_ms) / 1e3)
        for place, amount in enumerate((cost.worker_ms, cost.postgres_ms, cost.redis_ms, cost.statements)):
            used[place] += amount
    waits.sort()
    seconds = SECONDS - WARM_UP
    return Load(
        employees=employees,
        requests_per_s=len(waits) / seconds,
        hits=hits / queries if queries else 0.0,
        workers=workers,
        p95_ms=waits[int(len(waits) * 0.95)] * 1e3 if waits else 0.0,
        worker_cores=used[0] / 1e3 / seconds,
        postgres_cores=used[1] / 1e3 / seconds,
        statistics_cores=statistics_ms / 1e3 / seconds,
        redis_cores=used[2] / 1e3 / seconds,
        statements_per_s=used[3] / seconds,
        disk_gb_per_year=0.0,
    )


def _scaled(load: Load, employees: int, shards: int, costs: Costs) -> Load:
    return msgspec.structs.replace(
        load,
        employees=employees,
        requests_per_s=load.requests_per_s * shards,
        workers=load.workers * shards,
        worker_cores=load.worker_cores * shards,
        postgres_cores=load.postgres_cores * shards,
        statistics_cores=load.statistics_cores * shards,
        redis_cores=load.redis_cores * shards,
        statements_per_s=load.statements_per_s * shards,
        disk_gb_per_year=employees * 365 * costs.day_bytes / 1e9,
    )


def shown(costs: Costs, loads: Iterable[Load]) -> str:
    """What one request costs and the busiest minute, as the two tables of docs/explain/capacity.md."""
    requests = (
        ("kept answer, any of the four queries", [*costs.hit.values()]),
        ("one employee, executed with `CACHE=off`", [costs.executed["one_employee"]]),
        ("50 employees x 10 days", [costs.executed["employees_50x10"]]),
        ("`today` of everybody", [costs.executed["today"]]),
        ("`stats` of everybody by department and month", [costs.executed["stats_by_department_and_month"]]),
        ("check-in or check-out, the drain's statements within", [costs.check]),
    )
    measured = [
        (name, *(_span([getattr(cost, part) for cost in found]) for part in Cost.__struct_fields__))
        for name, found in requests
    ]
    peaks = [
        (
            f"{load.employees:,}", _short(load.requests_per_s), f"{load.hits:.0%}", f"{load.workers:,}",
            f"{load.p95_ms:,.0f}", _short(load.postgres_cores), _short(load.statistics_cores),
            f"{load.statements_per_s:,.0f}", _short(load.redis_cores), _short(load.disk_gb_per_year),
        )
        for load in loads
    ]  # fmt: skip
    return f"{_table(COSTS_HEAD, measured)}\n{_table(PEAKS_HEAD, peaks)}"


def with_tables(page: str, tables: str) -> str:
    """The page with these for its first tables."""
    for number, table in enumerate(tables.split("\n\n")):
        old = TABLE.findall(page)[number]
        page = page.replace(old, table.rstrip("\n") + "\n")
    return page


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---"] * len(head), *rows)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _span(values: list[float]) -> str:
    least, most = _short(min(values)), _short(max(values))
    return least if least == most else f"{least} to {most}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"


def main(
    costs: Annotated[Path, typer.Option(help="What `python -m bench.cost` measured.")] = COSTS,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of the tables.")] = False,
    page: Annotated[Path | None, typer.Option(help="Put the tables into docs/explain/capacity.md as well.")] = None,
) -> None:
    """Simulate the busiest minute of companies of five sizes."""
    found = msgspec.json.decode(costs.read_bytes(), type=Costs)
    loads = [simulate(size, found, Habits()) for size in SIZES]
    if page:
        page.write_text(with_tables(page.read_text(), shown(found, loads)))
    if as_json:
        typer.echo(json.dumps([msgspec.to_builtins(load) for load in loads], indent=1))
    else:
        typer.echo(shown(found, loads), nl=False)


if __name__ == "__main__":
    typer.run(main)
