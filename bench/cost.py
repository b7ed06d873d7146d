"""What one request of each kind costs the workers, PostgreSQL and Valkey: the inputs of bench/capacity.py.

python -m bench.cost [--data FOLDER] [--out FILE]. Processor time, so that a busy machine changes little; "executed" is
measured with CACHE=off, where everything is asked of PostgreSQL: more than a miss costs, which finds most rows cached.
"""

import asyncio
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import asyncpg
import msgspec
import psutil
import typer
from sqlalchemy.engine import make_url

from bench.capacity import COSTS, Cost, Costs
from bench.client import Job
from bench.ground import Ground, filled, leased
from bench.machine import machine
from bench.queries import NamedQuery, named_queries
from bench.service import ClientProcess, Service, client, serving
from ops.demo import DEMO_PASSWORD

KINDS: Final = ("one_employee", "employees_50x10", "today", "stats_by_department_and_month")
REQUESTS: Final = {"hit": 2_000, "executed": 60}
PAIRS: Final = 30
CALLS: Final = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements"
CHECK_IN: Final = NamedQuery("check_in", "mutation { checkIn(input: {}) { punch { id } day { id status } } }", {})
CHECK_OUT: Final = NamedQuery("check_out", "mutation { checkOut(input: {}) { punch { id } day { id status } } }", {})


class Meter:
    """The processor time of the three parts, and the statements that PostgreSQL ran."""

    def __init__(self, service: Service, ground: Ground) -> None:
        self._service, self._database_url = service, ground.servers.database_url
        folder = str(ground.data)
        self._servers = [
            (process, "valkey" in process.name()) for process in psutil.process_iter() if _belongs(process, folder)
        ]

    def cost(self, requests: int, work: Callable[[], object]) -> Cost:
        """What `work` cost, by request."""
        before = self._read()
        work()
        worker_s, postgres_s, redis_s, statements = (
            (after - earlier) / requests for after, earlier in zip(self._read(), before, strict=True)
        )
        return Cost(round(worker_s * 1e3, 3), round(postgres_s * 1e3, 3), round(redis_s * 1e3, 3), round(statements, 1))

    def _read(self) -> tuple[float, float, float, float]:
        statements = asyncio.run(_value(self._database_url, CALLS))
        postgres_s = redis_s = 0.0
        for process, is_redis in self._servers:
            ended = process.cpu_times()
            used_s = ended.children_user + ended.children_system
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # its time is its parent's then
                    used_s += sum(each.cpu_times()[:2])
            redis_s, postgres_s = (redis_s + used_s, postgres_s) if is_redis else (redis_s, postgres_s + used_s)
        return sum(self._service.cpu_s()), postgres_s, redis_s, float(statements)


def _belongs(process: psutil.Process, folder: str) -> bool:
    """The postmaster and the Valkey of a data folder."""
    try:
        if process.name() == "valkey-server":
            return bool(process.cwd() == folder)
        return process.name() == "postgres" and any(word.startswith(folder) for word in process.cmdline())
    except psutil.Error:  # it has just ended
        return False


async def _value(database_url: str, statement: str) -> int:
    server = make_url(database_url)
    connection = await asyncpg.connect(host=str(server.query["host"]), user=server.username, database=server.database)
    try:
        return int(await connection.fetchval(statement))
    finally:
        await connection.close()


def _token(port: int, user: str) -> str:
    form = urllib.parse.urlencode({"grant_type": "password", "username": user, "password": DEMO_PASSWORD}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/auth/token", form)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(msgspec.json.decode(answer.read())["access_token"])


def _queries(ground: Ground, settings: Mapping[str, str], state: str) -> dict[str, Cost]:
    queries = {query.name: query for query in named_queries(ground.employees, datetime.now(UTC).date())}
    found = {}
    with (
        serving({**ground.environment(), **settings}, ground.data / "cost.log", None) as service,
        client(service.port, service.token()) as asking,
    ):
        meter, requests = Meter(service, ground), REQUESTS[state]
        for kind in KINDS:
            asking.run(Job(queries[kind].body, 8, 32))
            job = Job(queries[kind].body, 8, requests)
            found[kind] = meter.cost(requests, lambda job=job: asking.run(job))  # type: ignore[misc]
    return found


def _checks(ground: Ground) -> Cost:
    def check(asking: ClientProcess) -> None:
        for _ in range(PAIRS):
            for mutation in (CHECK_IN, CHECK_OUT):
                asking.run(Job(mutation.body, 1, 1))

    with (
        serving(ground.environment(), ground.data / "cost.log", None) as service,
        client(service.port, _token(service.port, "employee@rollcall.test")) as asking,
    ):
        return Meter(service, ground).cost(2 * PAIRS, lambda: check(asking))


def main(
    data: Annotated[Path, typer.Option(help="Folder of private servers with a demo company.")] = Path(".data/bench"),
    out: Annotated[Path, typer.Option(help="Where the costs go.")] = COSTS,
) -> None:
    """Measure, and write the costs down."""
    with leased(data.resolve()) as servers:
        days = asyncio.run(filled(servers.database_url, 2_000, 90))
        ground = Ground(servers, data.resolve(), 2_000, days)
        with ground.cache() as cache:
            about = machine(servers, cache)
        size = asyncio.run(_value(servers.database_url, "SELECT pg_database_size(current_database())"))
        costs = Costs(
            machine=f"{about.cores} cores of {about.processor}",
            measured_on=str(datetime.now(UTC).date()),
            employees=ground.employees,
            hit=_queries(ground, {}, "hit"),
            executed=_queries(ground, {"CACHE": "off"}, "executed"),
            check=_checks(ground),
            day_bytes=round(size / (2_000 * days)),
        )
    out.write_bytes(msgspec.json.format(msgspec.json.encode(costs), indent=1) + b"\n")
    sys.stderr.write(f"wrote {out.name}\n")


if __name__ == "__main__":
    typer.run(main)
