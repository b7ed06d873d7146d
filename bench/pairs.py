"""Two sides that are asked in turns, so that whatever disturbs the machine disturbs both; only ratios are believed."""

import time
from collections.abc import Callable
from datetime import timedelta
from statistics import median
from typing import NamedTuple

import msgspec

from bench.client import Job
from bench.figures import ratio
from bench.service import ClientProcess, Service


class Compared(msgspec.Struct, frozen=True):
    """Processor time of our workers for one request, and of those that they are compared to.

    The ratio is the median of the rounds' ratios; beside it the least and the greatest of them.
    """

    ours_us: float
    theirs_us: float
    ratio: float
    least: float
    greatest: float
    requests: int


class Spent(NamedTuple):
    """Processor time of workers, and how long the work took that they were watched for."""

    cpu_us: float
    worked_s: float


class Side(NamedTuple):
    """A running service with its client; `idle_cpu` is what its workers use when nobody asks, in seconds a second."""

    service: Service
    client: ClientProcess
    idle_cpu: float

    def cost_us(self, job: Job) -> float:
        """Processor time of a request of the job, without what the workers would have used anyway."""
        before = sum(self.service.cpu_s())
        outcome = self.client.run(job)
        used_s = sum(self.service.cpu_s()) - before - self.idle_cpu * outcome.elapsed_s
        return used_s / len(outcome.latencies_ms) * 1e6

    def spent(self, work: Callable[[], object], afterwards: timedelta) -> Spent:
        """What the workers use while the work is done, and for so long afterwards."""
        before, began_s = sum(self.service.cpu_s()), time.perf_counter()
        work()
        worked_s = time.perf_counter() - began_s
        time.sleep(afterwards.total_seconds())
        return Spent((sum(self.service.cpu_s()) - before) * 1e6, worked_s)


def compared(ours: Callable[[], float], theirs: Callable[[], float], rounds: int, requests: int) -> Compared:
    """Ask both in turns; each round begins with the other side."""
    found: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = theirs()
            found.append((ours(), second))
        else:
            first = ours()
            found.append((first, theirs()))
    ratios = [one / other for one, other in found]
    return Compared(
        ours_us=round(median(one for one, _ in found), 1),
        theirs_us=round(median(other for _, other in found), 1),
        ratio=ratio(median(ratios), 1.0),
        least=ratio(min(ratios), 1.0),
        greatest=ratio(max(ratios), 1.0),
        requests=rounds * requests,
    )
