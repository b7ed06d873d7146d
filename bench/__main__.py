"""`make bench`: counts, then serves and measures, then prints.

python -m bench [--json FILE] [--page FILE] [--data FOLDER] [--employees N] [--days D] [--workers W] [--quick]
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.figures import CountsByState
from bench.ground import BenchFailed, Ground, filled, leased
from bench.machine import machine
from bench.measure import Bench, Effort
from bench.promises import Pace, promises
from bench.queries import NamedQuery, named_queries
from bench.report import Run, page, read_peers, show, with_ratios
from bench.service import CHECKOUT, client, serving
from db.embedded import EmbeddedServerError
from domain.errors import RollcallError

WIDTH = 124
ROWS_ONLY = {"RESPONSE_CACHE_BYTES": "0"}
QUICK_PACE = Pace(rounds=2, hits=8, connections=4, fills=1, mutations=2, mixed=60, idle=timedelta(milliseconds=100))
QUICK = Effort(2, timedelta(0), 4, 2, timedelta(milliseconds=100))


def bench(
    json: Annotated[Path | None, typer.Option(help="Write the figures as JSON; - is standard output.")] = None,
    page_file: Annotated[Path | None, typer.Option("--page", help="Write docs/reference/performance.md.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the bench's own private servers.")] = Path(".data/bench"),
    employees: Annotated[int, typer.Option(min=10, help="Size of the demo company, when the folder is empty.")] = 2_000,
    days: Annotated[int, typer.Option(min=1, help="Its days.")] = 90,
    workers: Annotated[int | None, typer.Option(help="Worker processes; as many as cores by default.")] = None,
    quick: Annotated[bool, typer.Option(help="A few requests only: shows that the bench works.")] = False,
) -> None:
    """Measure five named queries against the real service, cold and warm."""
    console = Console(stderr=json == Path("-"), width=max(Console().width, WIDTH))
    try:
        run = run_bench(data.resolve(), employees, days, workers, QUICK if quick else Effort(), console)
    except (RollcallError, EmbeddedServerError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    show(run, console)
    encoded = msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n"
    if json == Path("-"):
        sys.stdout.buffer.write(encoded)
    elif json:
        json.write_bytes(encoded)
    if page_file:
        page_file.write_text(page(run))


def run_bench(data: Path, employees: int, days: int, workers: int | None, effort: Effort, console: Console) -> Run:
    """Everything from empty servers to figures."""
    if sys.platform != "linux":
        raise BenchFailed("make bench needs Linux, whose kernel tells the processor time of other processes exactly")
    now, peers = datetime.now(UTC), read_peers()
    with leased(data) as servers:
        console.print(f"private servers and a demo company of {employees:,} employees in {data.name}", highlight=False)
        ground = Ground(servers, data, employees, asyncio.run(filled(servers.database_url, employees, days)))
        queries = named_queries(employees, now.date())
        console.print("measuring the promises", highlight=False)
        promised = promises(ground, now.date(), QUICK_PACE if effort == QUICK else Pace())
        with ground.cache() as cache:
            facts = machine(servers, cache)
            with measuring(ground, now, workers, effort, {}) as (bench, counts):
                cold = {query.name: bench.cold(query, counts[query.name].cold) for query in said(queries, console)}
                warm = {query.name: bench.warm(query, counts[query.name].warm) for query in said(queries, console)}
                idle_ms, served_by = round(bench.idle_cpu * 1000, 1), bench.workers
            with measuring(ground, now, workers, effort, ROWS_ONLY) as (bench, counts):
                rows = {query.name: bench.warm(query, counts[query.name].warm) for query in said(queries, console)}
    found = {name: with_ratios(name, cold[name], rows[name], warm[name], peers) for name in cold}
    return Run(now.date(), facts, employees, ground.days, served_by, idle_ms, found, promised, peers)


def said(queries: Iterable[NamedQuery], console: Console) -> Iterator[NamedQuery]:
    """The queries one by one, each named when its turn comes."""
    for query in queries:
        console.print(f"measuring {query.name}", highlight=False)
        yield query


@contextmanager
def measuring(
    ground: Ground, now: datetime, workers: int | None, effort: Effort, settings: Mapping[str, str]
) -> Iterator[tuple[Bench, dict[str, CountsByState]]]:
    """The service with some settings, and what its requests make the layers do."""
    environment = {**ground.environment(), **settings}
    with ground.cache() as cache:
        cache.flushall()
        counts = counted(ground, now, environment)
        cache.flushall()
        with (
            serving(environment, ground.data / "bench.log", workers) as service,
            client(service.port, service.token()) as asking,
        ):
            yield Bench(service, asking, cache, effort), counts


def counted(ground: Ground, now: datetime, environment: Mapping[str, str]) -> dict[str, CountsByState]:
    """The counts, from a process of its own that runs before the service does: one drain at a time."""
    addresses = {"DATABASE_URL": ground.servers.database_url, "REDIS_URL": ground.servers.redis_url}
    # a busy event loop must not count as an unreachable Redis here: the counts are of a service that works
    given = {**environment, **addresses, "REDIS_TIMEOUT_MS": "10000"}
    command = [sys.executable, "-m", "bench.counts", str(ground.employees), str(now.date())]
    with (ground.data / "counts.log").open("w") as log:
        found = subprocess.run(
            command, cwd=CHECKOUT, env=given, stdout=subprocess.PIPE, stderr=log, text=True, check=False
        )
    if found.returncode != 0:
        raise BenchFailed((ground.data / "counts.log").read_text().strip().rpartition("\n")[2])
    return msgspec.json.decode(found.stdout.splitlines()[-1], type=dict[str, CountsByState])


if __name__ == "__main__":
    typer.run(bench)
