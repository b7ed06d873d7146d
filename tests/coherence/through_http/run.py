"""The fault run through HTTP: `make torture`, and a short form in the suite. OPS=1000000 SEED=7 set length and seed.

MINUTES=20 ends it earlier, APART=2500 is the average number of operations between faults, which come after 15 s at the
latest (SECONDS_APART=15), ONLY="kill_node" names kinds. REDIS=sentinel lets the workers ask Sentinels for Redis, and
REDIS=cluster gives them a Cluster: what is done to Redis then is to fail over, or to reshard.
WITHOUT="tags are held before COMMIT" takes that safeguard out, and the run ends when somebody was told something wrong.

Exit code 1 when anybody was told what is wrong, or an acknowledged write is missing.
"""

import asyncio
import json
import math
import os
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from tests.cluster.conftest import ROOT
from tests.coherence.earlier import BEFORE, schema_before
from tests.coherence.through_http.company import Company, found_company
from tests.coherence.through_http.faults import Faults
from tests.coherence.through_http.psql import Psql
from tests.coherence.through_http.stand import PostgreSQL, Stand, stand
from tests.coherence.through_http.traffic import READS_A_WRITE, Traffic

REPORT: Final = ROOT / ".data" / "torture"
PROGRESS_S: Final = 10
STUCK_S: Final = 120
OFTEN: Final = 9
"""Reads a write, where something has to be found, or to be struck, soon."""
VARIABLES: Final = {
    "CLUSTER_WORKERS": "2",
    "DB_POOL_SIZE": "6",
    "DEMO": "off",
    "MAX_WORKER_RESTARTS": "10000",
    "WORKER_RESTART_DELAY": "0",
    "GRAPHIQL": "off",
    "REDIS_TIMEOUT_MS": "1000",  # on a busy machine the cache would be off most of the time
}


class Summary(msgspec.Struct, frozen=True):
    """What came of a run."""

    seed: int
    operations: int
    seconds: float
    reads: int
    writes: int
    outside_writes: int
    observations: int
    """Numbers that were compared; an answer may tell many."""
    watched: int
    """Numbers that psql showed to somebody, so that no answer may tell less."""
    asked_at_rest: int
    faults: dict[str, int]
    kinds: dict[str, int]
    """What was answered, by the kind of question or of write."""
    answered: dict[str, int]
    """How reads were answered, in the words of Cache-Status."""
    failures: dict[str, int]
    unknown_writes: int
    outside_seen_ms: tuple[float, float]
    """How long after its COMMIT the last request began that was told the row as it was before: median, longest."""
    violations: dict[str, int]
    missing: list[str]
    untrue: list[str]
    complaints: list[str]
    samples: list[Any]

    @property
    def good(self) -> bool:
        """Whether nobody was told anything wrong and nothing is lost."""
        return not (self.violations or self.missing or self.untrue or self.complaints)


class Run:
    """The stand with a company at work, what goes past the service, and what may be done to it."""

    def __init__(self, on: Stand, company: Company, seed: int, reads_a_write: int = READS_A_WRITE) -> None:
        self.stand = on
        self.traffic = Traffic(on, company, seed, reads_a_write)
        self.psql = Psql(self.traffic)
        self.faults = Faults(on, seed)
        self.began_s = time.monotonic()

    async def through(self, until: Callable[[], Awaitable[None]], rest_s: float = 5, asks: int = 2) -> "Summary":
        """Let everybody work until `until` has ended; then ask for everything `asks` times and sum up."""
        traffic = self.traffic
        await traffic.begin()
        await traffic.run(until, self.psql.write, self.psql.watch)
        seconds, done = time.monotonic() - self.began_s, traffic.done
        await asyncio.sleep(rest_s)  # not for ordering: suspensions end, and outside writes come to count
        return await _summary(self, done, seconds, await traffic.at_rest(asks))

    async def goes_on(self, hits: int, writes: int) -> None:
        """Wait until so many more answers have come from the cache, and so many more writes have been begun."""
        traffic = self.traffic
        hits, writes = hits + traffic.hits, writes + traffic.writes
        async with asyncio.timeout(STUCK_S):
            while traffic.hits < hits or traffic.writes < writes:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def at_work(
    seed: int, redis: str = "pair", removed: str = "", reads_a_write: int = READS_A_WRITE, root: Path = ROOT
) -> AsyncIterator[Run]:
    """Bring everything up, over a company of its own."""
    found: list[Company] = []

    async def prepare(postgres: PostgreSQL, folder: Path) -> dict[str, str]:
        with schema_before() if removed == BEFORE or root != ROOT else nullcontext():
            found.append(await found_company(postgres, folder, datetime.now(UTC)))
        return {"AUTH_PRIVATE_KEY_FILE": str(folder / "auth.key")}

    async with stand(prepare, VARIABLES, removed, redis, root) as on:
        yield Run(on, found[0], seed, reads_a_write)


async def torture(
    operations: int,
    seed: int,
    apart: tuple[int, int],
    only: Sequence[str] = (),
    least_faults: int = 0,
    most_s: float = math.inf,
    removed: str = "",
    most_apart_s: float = 15,
    redis: str = "pair",
    left_out: Sequence[str] = (),
) -> Summary:
    """Run until so many operations and faults are done, a fault after each `apart[0]` to `apart[1]` operations."""
    async with at_work(seed, redis, removed, OFTEN if removed else READS_A_WRITE) as run:
        traffic, faults = run.traffic, run.faults
        if only:
            faults.only(*only)
        faults.leave_out(*left_out)

        def over() -> bool:
            enough = traffic.done >= operations and faults.done >= least_faults
            return enough or time.monotonic() > run.began_s + most_s or bool(removed and traffic.registers.wrong)

        return await run.through(
            lambda: _maltreat(traffic, faults, apart, most_apart_s, over), asks=0 if removed else 2
        )


async def _maltreat(
    traffic: Traffic, faults: Faults, apart: tuple[int, int], most_apart_s: float, over: Callable[[], bool]
) -> None:
    choice = random.Random(f"{traffic.seed} apart")
    began_s = healed_s = told_s = last_s = time.monotonic()
    next_at, last_done = traffic.done + apart[0], 0
    while not over():
        await asyncio.sleep(0.02)
        now_s = time.monotonic()
        if now_s - told_s > PROGRESS_S:
            told_s = now_s
            _progress(traffic, faults, now_s - began_s)
        if traffic.done > last_done:
            last_done, last_s = traffic.done, now_s
        assert now_s - last_s < STUCK_S, f"nothing was answered for {STUCK_S} s; last: {faults.last}"
        if traffic.done >= next_at or now_s > healed_s + most_apart_s:
            await faults.next()
            next_at, healed_s = traffic.done + choice.randint(*apart), time.monotonic()
    _progress(traffic, faults, time.monotonic() - began_s)


async def _summary(run: Run, done: int, seconds: float, asked: int) -> Summary:
    traffic, psql, registers = run.traffic, run.psql, run.traffic.registers
    truth = await traffic.truth()
    untrue = [
        f"{name}: {value} in the database, {registers.by_name[name].floor} told"
        for name, value in truth.items()
        if registers.by_name[name].floor != value
    ]
    seen_ms = sorted(1000 * each for each in psql.shown_s) or [0.0]
    return Summary(
        traffic.seed,
        done,
        round(seconds, 1),
        traffic.reads,
        traffic.writes,
        psql.writes,
        registers.observed,
        psql.watched,
        asked,
        dict(run.faults.by_name.most_common()),
        dict(traffic.kinds.most_common()),
        dict(traffic.ways.most_common()),
        dict(traffic.failures.most_common()),
        len(traffic.unknown),
        (round(statistics.median(seen_ms), 1), round(seen_ms[-1], 1)),
        dict(registers.wrong),
        await traffic.missing(),
        untrue,
        [line for node in run.stand.nodes for line in node.complaints],
        [msgspec.to_builtins(violation) for violation in registers.violations],
    )


def _progress(traffic: Traffic, faults: Faults, seconds: float) -> None:
    answered = sum(traffic.ways.values()) or 1
    print(
        f"{seconds:6.0f} s  {traffic.done:9,} operations ({traffic.done / seconds:.0f}/s)  "
        f"{traffic.registers.observed:10,} observations  {100 * traffic.hits / answered:3.0f} % hits  "
        f"{traffic.writes:7,} writes  {sum(faults.by_name.values()):5} faults  "
        f"{sum(traffic.failures.values()):5} failures  {sum(traffic.registers.wrong.values())} violations  "
        f"{faults.last}",
        flush=True,
    )


def main() -> int:
    """`python -m tests.coherence.through_http.run`."""
    operations, seed = int(os.environ.get("OPS", "1000000")), int(os.environ.get("SEED", "1"))
    only = os.environ.get("ONLY", "").split()
    apart, most_s = int(os.environ.get("APART", "2500")), 60 * float(os.environ.get("MINUTES", "inf"))
    most_apart_s = float(os.environ.get("SECONDS_APART", "15"))
    range_ = apart // 2, apart * 3 // 2
    removed, redis = os.environ.pop("WITHOUT", ""), os.environ.pop("REDIS", "pair")
    summary = uvloop.run(torture(operations, seed, range_, only, 0, most_s, removed, most_apart_s, redis))
    REPORT.mkdir(parents=True, exist_ok=True)
    path = REPORT / f"seed-{seed}.json"
    path.write_text(json.dumps(msgspec.to_builtins(summary), indent=2) + "\n")
    print(table(summary))
    print(f"written to {path.relative_to(ROOT)}")
    return 0 if summary.good else 1


def table(summary: Summary) -> str:
    """For people."""
    lines = [
        ("operations", f"{summary.operations:,} in {summary.seconds:,.0f} s, seed {summary.seed}"),
        ("reads", f"{summary.reads:,}, which told {summary.observations:,} numbers"),
        ("writes", f"{summary.writes:,}, {summary.outside_writes:,} more from outside"),
        ("shown by psql", f"{summary.watched:,} numbers"),
        ("outcome unknown", f"{summary.unknown_writes:,} writes whose process was killed or could not answer"),
        (
            "seen from outside",
            f"by who asked after {summary.outside_seen_ms[0]} ms (median), {summary.outside_seen_ms[1]} ms (longest)",
        ),
        ("at rest", f"{summary.asked_at_rest:,} questions"),
        ("violations", f"{sum(summary.violations.values())} {summary.violations or ''}"),
        ("missing", f"{len(summary.missing)} acknowledged writes {summary.missing[:5] or ''}"),
        ("untrue", f"{len(summary.untrue)} numbers {summary.untrue[:5] or ''}"),
        ("complaints", f"{len(summary.complaints)} {summary.complaints[:2] or ''}"),
    ]
    lines += [("kind", f"{number:9,}  {kind}") for kind, number in summary.kinds.items()]
    lines += [("answered", f"{number:9,}  {way}") for way, number in summary.answered.items()]
    lines += [("failed", f"{number:9,}  {why}") for why, number in summary.failures.items()]
    lines += [("fault", f"{number:9,}  {name}") for name, number in summary.faults.items()]
    return "\n".join(f"{name:18}  {text}" for name, text in lines)


if __name__ == "__main__":
    sys.exit(main())
