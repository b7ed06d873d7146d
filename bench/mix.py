"""The mixed workload, counted: 95 % reads whose keys are Zipf-distributed, 5 % writes, one after the other.

python -m bench.mix EMPLOYEES TODAY STEPS [WORKERS]; the whole application runs in this process, once for each worker,
and chance sends each request to one of them. The first half warms up and is not counted. Afterwards, with whole answers
kept, the look at stamps and rights is timed, AT_ONCE at once.
"""

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx2
import msgspec

from bench.counts import BENCH_USER, application
from bench.ground import BenchFailed
from bench.queries import ONE_EMPLOYEE, TODAY
from cluster.worker import collect_garbage_rarely
from domain.ids import encode_id
from ops.demo import DEMO_PASSWORD
from schema.root import api
from telemetry.recording import Recording, recording
from web.execution import Execution, PreparedOperation
from web.graphql_request import from_body
from web.http_settings import LimitSettings
from web.negotiation import JSON
from web.resources import Resources, open_tokens
from web.response_cache import ResponseCache
from web.settings import Settings

SEED: Final = 7
VARIANTS: Final = 500
EXPONENT: Final = 0.9  # as in the peers' workload
WRITES: Final = 0.05
AT_ONCE: Final = 50
CHECKS: Final = 4_000

DAYS: Final = """
query EmployeeDays($id: ID!, $period: PeriodInput!) {
  employee(id: $id) {
    id fullName department { name }
    attendance(period: $period) { id workDate status workedMinutes shift { name } }
  }
}"""
SAVE: Final = """
mutation Save($id: ID!, $designation: String) {
  saveEmployee(input: {id: $id, designation: $designation}) { employee { id designation } userErrors { message } }
}"""
MARK: Final = """
mutation Mark($id: ID!, $date: Date!, $status: DayStatus!) {
  markAttendance(input: {items: [{employeeId: $id, date: $date, status: $status}], reason: "bench"}) {
    days { id status } userErrors { message }
  }
}"""


class Step(msgspec.Struct, frozen=True):
    """One request of the workload."""

    query: str
    variables: dict[str, Any]

    @property
    def writes(self) -> bool:
        """Whether it is a mutation."""
        return self.query.startswith("\nmutation")

    @property
    def body(self) -> str:
        """The JSON that is posted."""
        return msgspec.json.encode({"query": self.query.strip(), "variables": self.variables}).decode()


class Tally(msgspec.Struct):
    """What the counted half made the layers do; statements of reads and of writes apart.

    Of the reads some were sent from an answer that the worker had kept, some from one that another worker shared.
    `read_us` is the processor time of all reads together, the client's and the storing afterwards included.
    """

    reads: int = 0
    writes: int = 0
    kept: int = 0
    shared: int = 0
    read_us: float = 0.0
    keys: int = 0
    hits: int = 0
    read_statements: int = 0
    write_statements: int = 0
    refused: int = 0
    check_us: float | None = None


def steps(employees: int, today: date, number: int) -> Iterator[Step]:
    """The workload, the same for everybody."""
    drawn = random.Random(SEED)  # noqa: S311
    people = drawn.sample(range(1, employees + 1), min(VARIANTS, employees))
    weights = [1 / (rank + 1) ** EXPONENT for rank in range(len(people))]
    period = {"range": {"from": str(today - timedelta(days=20)), "to": str(today - timedelta(days=1))}}
    for count, person in enumerate(drawn.choices(people, weights, k=number)):
        chosen, employee = drawn.random(), {"id": encode_id("Employee", person)}
        if chosen < WRITES / 2:
            yield Step(SAVE, {**employee, "designation": f"Engineer {count}"})
        elif chosen < WRITES:
            status = "PRESENT" if count % 2 else "ABSENT"
            yield Step(MARK, {**employee, "date": str(today - timedelta(days=1 + count % 10)), "status": status})
        elif chosen < 0.70:
            yield Step(ONE_EMPLOYEE, employee)
        elif chosen < 0.98:
            yield Step(DAYS, {**employee, "period": period})
        else:
            yield Step(TODAY, {})


class Worker(msgspec.Struct, frozen=True):
    """The application as one worker has it, and a client of it alone."""

    resources: Resources
    client: httpx2.AsyncClient

    async def post(self, step: Step) -> httpx2.Response:
        """Send a step; what it stores is stored then."""
        answer = await self.client.post("/graphql", content=step.body, headers={"content-type": "application/json"})
        await self.resources.cache.settle()
        return answer


async def tallied(workers: Sequence[Worker], workload: list[Step]) -> Tally:
    """Do all of it; counts the second half."""
    tally, drawn = Tally(), random.Random(SEED)  # noqa: S311
    for number, step in enumerate(workload):
        worker, started_s = drawn.choice(workers), time.process_time()
        with recording() as made:
            answer = await worker.post(step)
        took_us = (time.process_time() - started_s) * 1e6
        if answer.status_code != 200 or "errors" in answer.json():
            raise BenchFailed(f"{step.query.strip().partition('(')[0]}: {answer.text[:300]}")
        if number >= len(workload) // 2:
            _add(tally, step, answer, made, took_us)
    return tally


def _add(tally: Tally, step: Step, answer: httpx2.Response, made: Recording, took_us: float) -> None:
    if step.writes:
        tally.writes += 1
        tally.write_statements += len(made.sql)
        tally.refused += '"userErrors":[{' in answer.text
        return
    tally.reads += 1
    tally.read_us += took_us
    tally.kept += answer.headers.get("cache-status", "") == "rollcall; hit"
    tally.shared += answer.headers.get("cache-status", "") == "rollcall; hit; detail=shared"
    tally.keys += sum(keys for _, keys, _ in made.batches)
    tally.hits += sum(hits for _, _, hits in made.batches)
    tally.read_statements += len(made.sql)


async def check_us(responses: ResponseCache, step: Step, user_id: int) -> float:
    """Processor time of one look at the stamps of a kept answer and of its viewer's rights."""
    prepared = Execution(api, LimitSettings()).prepare(from_body(step.body.encode()), JSON)
    assert isinstance(prepared, PreparedOperation)

    async def nothing() -> None:
        pass

    async def look() -> None:
        if isinstance(await responses.fresh(prepared.key, user_id), str):
            raise BenchFailed("an answer that was just kept is gone: its stamps cannot be timed")

    return round(await _us(look) - await _us(nothing), 1)


async def _us(work: Callable[[], Awaitable[None]]) -> float:
    started_s = time.process_time()
    for _ in range(CHECKS // AT_ONCE):
        await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.process_time() - started_s) / CHECKS * 1e6


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that serves."""
    resources = Resources(settings)
    app = application(settings, resources)
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield Worker(resources, client)


async def main(employees: int, today: date, number: int, workers: int = 1) -> Tally:
    """Run the workload with the settings of the environment."""
    collect_garbage_rarely()  # as the workers do
    settings = Settings.from_environment()
    async with AsyncExitStack() as stack:
        serving = [await stack.enter_async_context(opened(settings)) for _ in range(workers)]
        form = {"grant_type": "password", "username": BENCH_USER, "password": DEMO_PASSWORD}
        token = (await serving[0].client.post("/auth/token", data=form)).raise_for_status().json()["access_token"]
        for worker in serving:
            worker.client.headers["authorization"] = f"Bearer {token}"
        workload = list(steps(employees, today, number))
        tally = await tallied(serving, workload)
        if settings.cache.enabled and settings.cache.response_bytes:
            asked = next(step for step in workload if step.query == ONE_EMPLOYEE)
            await serving[0].post(asked)
            user_id = open_tokens(settings).verify_access(token, datetime.now(UTC)).user_id
            tally.check_us = await check_us(serving[0].resources._responses, asked, user_id)
        return tally


if __name__ == "__main__":
    size, day, *amounts = sys.argv[1:]
    found = asyncio.run(main(int(size), date.fromisoformat(day), *map(int, amounts)))
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
