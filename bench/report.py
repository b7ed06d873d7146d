"""A run as a value, as JSON, as a table on the terminal, and as docs/reference/performance.md."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figures, PeerRatio, QueryFigures, Ratios, ratio
from bench.machine import Machine
from bench.promised import HEADINGS as OF_PROMISES
from bench.promised import explained, promised
from bench.promises import Promises

HEADINGS: Final = (
    "query",
    "cache",
    "SQL",
    "Redis",
    "fills",
    "CPU ms",
    "p50 ms",
    "p99 ms",
    "req/s",
    "busiest",
    "bytes",
    "n",
)


class PeerServer(msgspec.Struct, frozen=True):
    """Microseconds of CPU by query: from a hot cache, without cache, and missing and filling."""

    name: str
    hot_us: dict[str, int]
    off_us: dict[str, int]
    fill_us: dict[str, int]


class Peers(msgspec.Struct, frozen=True):
    """bench/peers.json: figures of another run on another machine, for orders of magnitude."""

    source: str
    conditions: str
    queries: dict[str, str]
    nearest: dict[str, str]
    servers: list[PeerServer]


class Run(msgspec.Struct, frozen=True):
    """Everything that a run found out."""

    made_on: date
    machine: Machine
    employees: int
    days: int
    workers: int
    idle_cpu_ms_per_s: float
    queries: dict[str, QueryFigures]
    promises: Promises
    peers: Peers


def read_peers() -> Peers:
    """The peers' figures."""
    return msgspec.json.decode(Path(__file__).with_name("peers.json").read_bytes(), type=Peers)


def with_ratios(name: str, cold: Figures, rows: Figures, warm: Figures, peers: Peers) -> QueryFigures:
    """The figures of a query with everything that they are compared to."""
    query = peers.nearest.get(name)
    compared = [
        PeerRatio(
            server=server.name,
            query=query,
            warm=ratio(warm.cpu_ms * 1000, server.hot_us[query]),
            rows=ratio(rows.cpu_ms * 1000, server.hot_us[query]),
            cold=ratio(cold.cpu_ms * 1000, server.fill_us[query]) if query in server.fill_us else None,
        )
        for server in peers.servers
        if query is not None and query in server.hot_us
    ]
    ratios = Ratios(
        warm_to_cold_cpu=ratio(warm.cpu_ms, cold.cpu_ms),
        rows_to_cold_cpu=ratio(rows.cpu_ms, cold.cpu_ms),
        warm_to_cold_p50=ratio(warm.p50_ms, cold.p50_ms),
        cpu_to_peers=compared,
    )
    return QueryFigures(cold, rows, warm, ratios)


def show(run: Run, console: Console) -> None:
    """The table on the terminal."""
    table = Table(title=_subject(run), caption="\n".join(notes(run)), caption_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in ("query", "cache") else "right")
    for cells in _lines(run):
        table.add_row(*cells)
    console.print(table)
    second = Table(title="Promises", caption="\n".join(explained()), caption_justify="left")
    for heading in OF_PROMISES:
        second.add_column(heading)
    for cells in promised(run.promises):
        second.add_row(*cells)
    console.print(second)
    for name, found in run.queries.items():
        if ratios := [
            f"{peer.server.partition(' ')[0]} {peer.warm:g} ({peer.rows:g})" for peer in found.ratios.cpu_to_peers
        ]:
            console.print(
                f"{name}: warm (rows) CPU / {', '.join(ratios)}; another run", highlight=False, soft_wrap=True
            )
    console.print(f"[dim]{run.peers.source}[/dim]", highlight=False)


def page(run: Run) -> str:
    """docs/reference/performance.md."""
    return "\n".join(_page(run)) + "\n"


def notes(run: Run) -> list[str]:
    """How to read the columns."""
    warm = next(iter(run.queries.values())).warm
    return [
        "SQL: statements of one request. Redis: round trips that the answer waits for; fills leave after the reply.",
        "CPU: user and system time of the workers per request, PostgreSQL, Valkey and the client not included.",
        "cold: everything cached is forgotten before each request, one connection; fills included in the CPU.",
        "rows: rows come from Redis and the operation is executed (RESPONSE_CACHE_BYTES=0).",
        "warm: as served by default, where a worker also keeps whole answers and checks the stamps they rest on.",
        f"rows and warm: {warm.connections} keep-alive connections side by side, {run.workers} workers; client beside.",
        "busiest: the share of that CPU which one worker used; near 100 % it had got all connections to itself.",
        "p99 of fewer than 100 requests (n) is the slowest of them.",
        f"Idle workers use {run.idle_cpu_ms_per_s:g} ms of CPU a second together; taken off cold only.",
    ]


def _subject(run: Run) -> str:
    return f"{run.employees:,} employees x {run.days} days, as hr@rollcall.test"


def _lines(run: Run) -> Iterator[tuple[str, ...]]:
    for name, found in run.queries.items():
        for state, figures in (("cold", found.cold), ("rows", found.rows), ("warm", found.warm)):
            yield (
                name,
                state,
                str(figures.sql),
                str(figures.redis),
                str(figures.redis_fills),
                f"{figures.cpu_ms:.2f}",
                f"{figures.p50_ms:.1f}",
                f"{figures.p99_ms:.1f}",
                f"{figures.requests_per_s:.1f}",
                f"{figures.busiest_worker_share:.0%}",
                f"{figures.response_bytes:,}",
                str(figures.requests),
            )


def _page(run: Run) -> Iterator[str]:
    yield "# Performance\n"
    yield f"What `make bench` found on {run.made_on} with {_subject(run)}."
    yield 'Written by `make bench ARGS="--page docs/reference/performance.md"`; figures of another run differ.\n'
    yield from _markdown_table(HEADINGS, _lines(run))
    yield ""
    yield from (f"- {note}" for note in notes(run))
    yield "\n## Promises\n"
    yield from _markdown_table(OF_PROMISES, promised(run.promises))
    yield ""
    yield from (f"- {note}" for note in explained())
    yield "\n## Made on\n"
    machine = run.machine
    yield f"- {machine.cores} cores of {machine.processor}, {machine.memory_gb} GB, {machine.system},"
    yield f"  load {machine.load_before:g} in the minute before; commit {machine.commit}"
    yield f"- Python {machine.python}, PostgreSQL {machine.postgres}, Valkey {machine.valkey}"
    yield "- " + ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    yield "\n## SQL of a cold request\n"
    yield from (f"- {name}: {', '.join(found.cold.sql_names)}" for name, found in run.queries.items())


def _markdown_table(headings: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    yield from ("| " + " | ".join(cells) + " |" for cells in rows)
