"""What is promised of the cache's cost, as ratios within one run: hits, fills, mutations, and a mixed workload.

Three services of one worker each: with the cache, without it, each on a copy of the database, and one that answers from
memory.
"""

import asyncio
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Final

import asyncpg
import msgspec
import redis
from sqlalchemy.engine import make_url

from bench.client import Job
from bench.figures import middle_mean, ratio
from bench.floor import Kept, keep_answers
from bench.ground import BenchFailed, Ground, forget
from bench.measure import idle_cpu
from bench.mix import MARK, SAVE, Step, Tally
from bench.pairs import Compared, Side, compared
from bench.queries import NamedQuery, named_queries
from bench.service import CHECKOUT, client, serving
from cache.filling import LONGEST_WAIT

SAID_BY_HYPERCORN: Final = ("date", "server", "connection")
MARKED_DAYS: Final = 7
AFTERWARDS: Final = LONGEST_WAIT * 1.5


class Pace(msgspec.Struct, frozen=True):
    """How much is compared: rounds, and requests of each side in a round."""

    rounds: int = 12
    hits: int = 300
    connections: int = 32
    fills: int = 16
    mutations: int = 20
    mixed: int = 4_000
    idle: timedelta = timedelta(seconds=4)


class Mixed(msgspec.Struct, frozen=True):
    """The mixed workload with the cache as it is by default, with rows only, and without."""

    default: Tally
    rows: Tally
    off: Tally

    @property
    def keys_from_cache(self) -> float:
        """Of the keys that CACHE=off asks PostgreSQL for, those that the default did not ask for."""
        return 1 - (self.default.keys - self.default.hits) / self.off.keys

    @property
    def keys_from_rows(self) -> float:
        """Of the keys that loaders ask for when no whole answers are kept, those that Redis had."""
        return self.rows.hits / self.rows.keys

    @property
    def statements_of_reads(self) -> float:
        """Statements of reads, divided by those of CACHE=off."""
        return ratio(self.default.read_statements, self.off.read_statements)


class Promises(msgspec.Struct, frozen=True):
    """Everything of it, by query or mutation; `stamp_check_us` is of AT_ONCE looks together."""

    hits: dict[str, Compared]
    fills: dict[str, Compared]
    mutations: dict[str, Compared]
    mixed: Mixed
    keys_from_cache: float
    keys_from_rows: float
    statements_of_reads: float
    stamp_check_us: float


def promises(ground: Ground, today: date, pace: Pace) -> Promises:
    """Measure all of it."""
    queries = named_queries(ground.employees, today)
    address = ground.servers.database_url
    with copied(address, "bench_with") as first, copied(address, "bench_without") as second:
        environment = {**ground.environment(), "REDIS_URL": ground.servers.redis_url}
        given = {**environment, "DATABASE_URL": first}
        without = {**environment, "DATABASE_URL": second, "CACHE": "off"}
        mixed = Mixed(
            mix(ground, today, pace, given),
            mix(ground, today, pace, {**given, "RESPONSE_CACHE_BYTES": "0"}),
            mix(ground, today, pace, without),
        )
        with ground.cache() as cache, ExitStack() as open_sides:
            cache.flushall()
            ours = open_sides.enter_context(side(ground, "with", given, pace))
            off = open_sides.enter_context(side(ground, "without", without, pace))
            hits = compared_hits(ground, ours, queries, pace)
            fills = {query.name: compared_fills(ours, off, cache, query, pace) for query in queries}
            mutations = compared_mutations(ours, off, today, pace)
    assert mixed.default.check_us is not None
    shares = round(mixed.keys_from_cache, 4), round(mixed.keys_from_rows, 4), mixed.statements_of_reads
    return Promises(hits, fills, mutations, mixed, *shares, mixed.default.check_us)


@contextmanager
def side(ground: Ground, name: str, environment: Mapping[str, str], pace: Pace, *program: str) -> Iterator[Side]:
    """A service of one worker with a client of its own."""
    log = ground.data / f"bench-{name}.log"
    with serving(environment, log, 1, program or ("server.py",)) as service:
        token = "" if program else service.token()
        with client(service.port, token) as asking:
            yield Side(service, asking, idle_cpu(service, pace.idle))


def compared_hits(ground: Ground, ours: Side, queries: tuple[NamedQuery, ...], pace: Pace) -> dict[str, Compared]:
    """Kept answers beside the same bytes from the memory of a worker that does nothing else."""
    token, path = ours.service.token(), ground.data / "bench-answers"
    for query in queries:
        ours.client.run(Job(query.body, 1, 3))
    keep_answers(path, {query.body: _answer(ours.service.port, token, query.body) for query in queries})
    environment = {**ground.environment(), "FLOOR_ANSWERS": str(path)}
    with side(ground, "floor", environment, pace, "-m", "bench.floor") as floor:
        found = {}
        for query in queries:
            job = Job(query.body, pace.connections, pace.hits)
            for one in (ours, floor):
                one.client.run(job)
            found[query.name] = compared(
                partial(ours.cost_us, job), partial(floor.cost_us, job), pace.rounds, pace.hits
            )
        return found


def compared_fills(ours: Side, off: Side, cache: redis.Redis, query: NamedQuery, pace: Pace) -> Compared:
    """Missing everything and storing it, beside asking the database without a cache.

    Both are asked alike: a request alone, then nothing until whatever it leaves for later has long been done. Taken off
    is what is used in as much time when nobody asks. Both are means of the middle half: a tick of the drain, which
    costs as much as a request, falls into one of eight.
    """
    job = Job(query.body, 1, 1)

    def asked_alone_us(side: Side) -> float:
        asked, idle = [], []
        for _ in range(pace.fills):
            forget(cache)
            asked.append(side.spent(lambda: side.client.run(job), AFTERWARDS))
            forget(cache)
            idle.append(side.spent(partial(time.sleep, asked[-1].worked_s), AFTERWARDS))
        return middle_mean(spent.cpu_us for spent in asked) - middle_mean(spent.cpu_us for spent in idle)

    off.client.run(Job(query.body, 1, 2))
    return compared(lambda: asked_alone_us(ours), lambda: asked_alone_us(off), pace.rounds, pace.fills)


def compared_mutations(ours: Side, off: Side, today: date, pace: Pace) -> dict[str, Compared]:
    """Two mutations, each request another change, beside the same changes of a service without cache."""
    found = {}
    people = _people(ours, today - timedelta(days=MARKED_DAYS))
    for name, query in (("save_employee", SAVE), ("mark_attendance", MARK)):
        jobs = [_changes(query, people, today, number, pace.mutations) for number in range(1 + pace.rounds)]
        mine, theirs = _one_by_one(ours, jobs), _one_by_one(off, jobs)
        mine(), theirs()
        found[name] = compared(mine, theirs, pace.rounds, pace.mutations)
    return found


def _one_by_one(side: Side, jobs: list[Job]) -> Callable[[], float]:
    left = iter(jobs)
    return lambda: side.cost_us(next(left))


def _people(side: Side, since: date) -> list[str]:
    """Ids of those who have been employed for long enough to have a day on every date that is marked."""
    query = "{ employees(first: 500, filter: {statuses: [ACTIVE]}) { nodes { id hiredOn } } }"
    answer = _asked(side.service.port, side.service.token(), msgspec.json.encode({"query": query}).decode())
    nodes = msgspec.json.decode(answer.read())["data"]["employees"]["nodes"]
    return [node["id"] for node in nodes if node["hiredOn"] < str(since)]


def _changes(query: str, people: list[str], today: date, number: int, requests: int) -> Job:
    bodies = []
    for count in range(requests):
        variables = {
            "id": people[(number * requests + count) % len(people)],
            "designation": f"Engineer {number}.{count}",
        }
        if query == MARK:
            status = "PRESENT" if number % 2 else "ABSENT"
            variables = {
                "id": variables["id"],
                "date": str(today - timedelta(days=1 + number % MARKED_DAYS)),
                "status": status,
            }
        bodies.append(Step(query, variables).body)
    return Job(bodies[0], 1, requests, others=bodies[1:])


def mix(ground: Ground, today: date, pace: Pace, environment: Mapping[str, str]) -> Tally:
    """The counts of the mixed workload under some settings, by a process of its own that begins with an empty Redis."""
    with ground.cache() as cache:
        cache.flushall()
    # a busy event loop must not count as an unreachable Redis here: the counts are of a service that works
    given = {**environment, "REDIS_TIMEOUT_MS": "10000"}
    command = [sys.executable, "-m", "bench.mix", str(ground.employees), str(today), str(pace.mixed)]
    with (ground.data / "mix.log").open("w") as log:
        done = subprocess.run(
            command, cwd=CHECKOUT, env=given, stdout=subprocess.PIPE, stderr=log, text=True, check=False
        )
    if done.returncode != 0:
        raise BenchFailed((ground.data / "mix.log").read_text().strip().rpartition("\n")[2])
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Tally)


@contextmanager
def copied(database_url: str, name: str) -> Iterator[str]:
    """A copy of the database: writes without a cache must not disturb the other's cache, nor any of them the rest."""
    _sql(
        database_url,
        f"DROP DATABASE IF EXISTS {name}",
        f"CREATE DATABASE {name} TEMPLATE {make_url(database_url).database}",
    )
    try:
        yield make_url(database_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _sql(database_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _sql(database_url: str, *statements: str) -> None:
    """Run statements that no transaction may hold, past the database that they are about."""

    async def run() -> None:
        server = make_url(database_url)
        connection = await asyncpg.connect(host=str(server.query["host"]), user=server.username, database="postgres")
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _answer(port: int, token: str, body: str) -> Kept:
    """A kept answer of the service, without what hypercorn says of itself."""
    answer = _asked(port, token, body)
    if "rollcall; hit" not in (answer.getheader("cache-status") or ""):
        raise BenchFailed(f"needed a kept answer, got {answer.status} {answer.getheader('cache-status')}")
    said = [(name.lower(), value) for name, value in answer.getheaders() if name.lower() not in SAID_BY_HYPERCORN]
    return Kept([(name.encode(), value.encode()) for name, value in said], answer.read())


def _asked(port: int, token: str, body: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "accept": "application/json"}
    connection.request("POST", "/graphql", body.encode(), headers)
    return connection.getresponse()
