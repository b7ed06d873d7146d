"""What traces cost the workers, as ratios within one run: python -m bench.tracing [--data FOLDER] [--rounds N].

Three services of one worker on the same servers: one that traces nothing, one that traces every request, one that
traces one in a hundred; their spans go to a collector here, whose processor time is not counted.
"""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from bench.client import Job
from bench.collector import collecting
from bench.ground import Ground, filled, leased
from bench.pairs import Compared, Side, compared
from bench.promises import Pace, side
from bench.queries import NamedQuery, named_queries

SAMPLED: Final = {
    "every request": {},
    "one in a hundred": {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
}
KINDS: Final = ("one_employee", "employees_50x10", "today")
STATES: Final = {"kept answer": {}, "executed, rows from Redis": {"RESPONSE_CACHE_BYTES": "0"}}
REQUESTS: Final = {"kept answer": 300, "executed, rows from Redis": 30}
CONNECTIONS: Final = 8
HEADINGS: Final = """| | query | traced | CPU, traced / not | least to greatest | us, not traced |
|---|---|---|---|---|---|"""


def costs(ground: Ground, queries: tuple[NamedQuery, ...], rounds: int) -> Iterator[tuple[str, str, str, Compared]]:
    """(state, query, what is traced, cost beside a service that traces nothing), one after the other."""
    for state, settings in STATES.items():
        with ExitStack() as stack:
            address, pace = stack.enter_context(collecting(lambda _: None)), Pace(rounds=rounds)
            given = {**ground.environment(), "REDIS_URL": ground.servers.redis_url, **settings}
            given["DATABASE_URL"] = ground.servers.database_url
            off = stack.enter_context(side(ground, "untraced", given, pace))
            for traced, sampler in SAMPLED.items():
                exported = {**given, "OTEL_EXPORTER_OTLP_ENDPOINT": address, **sampler}
                with side(ground, "traced", exported, pace) as on:
                    for query in queries:
                        yield state, query.name, traced, _beside(on, off, query, rounds, REQUESTS[state])


def _beside(on: Side, off: Side, query: NamedQuery, rounds: int, requests: int) -> Compared:
    job = Job(query.body, CONNECTIONS, requests)
    for one in (on, off):
        one.client.run(job)
    return compared(partial(on.cost_us, job), partial(off.cost_us, job), rounds, requests)


def main(
    data: Annotated[Path, typer.Option(help="Folder of private servers with a demo company.")] = Path(".data/bench"),
    employees: Annotated[int, typer.Option(help="People in it.")] = 2_000,
    days: Annotated[int, typer.Option(help="Days that they have.")] = 90,
    rounds: Annotated[int, typer.Option(help="How often each side is asked.")] = 12,
) -> None:
    """Measure, and print a table as the docs have it."""
    with leased(data.resolve()) as servers:
        ground = Ground(servers, data.resolve(), employees, asyncio.run(filled(servers.database_url, employees, days)))
        today = datetime.now(UTC).date()
        queries = tuple(query for query in named_queries(employees, today) if query.name in KINDS)
        sys.stdout.write(f"{HEADINGS}\n")
        for state, name, traced, found in costs(ground, queries, rounds):
            span = f"{found.least:g} to {found.greatest:g}"
            sys.stdout.write(f"| {state} | {name} | {traced} | {found.ratio:g} | {span} | {found.theirs_us:,.0f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    typer.run(main)
