"""Measures the running service: each query cold, one request at a time, and warm, some connections side by side."""

import time
from collections.abc import Callable
from datetime import timedelta

import msgspec
import redis

from bench.client import Job, Outcome
from bench.figures import Counts, Figures, percentile
from bench.ground import forget
from bench.queries import NamedQuery
from bench.service import ClientProcess, Service


class Effort(msgspec.Struct, frozen=True):
    """How much is measured; a p99 of fewer than a hundred requests is the slowest of them."""

    connections: int = 8
    warm: timedelta = timedelta(seconds=5)
    warm_requests: int = 20
    cold_requests: int = 25
    idle: timedelta = timedelta(seconds=2)


class Bench:
    """The instruments: the service, its client and its cache."""

    def __init__(self, service: Service, client: ClientProcess, cache: redis.Redis, effort: Effort = Effort()) -> None:
        self._service, self._client, self._cache, self._effort = service, client, cache, effort
        self.idle_cpu = idle_cpu(service, effort.idle)
        self.workers = len(service.workers)

    def cold(self, query: NamedQuery, counts: Counts) -> Figures:
        """Everything forgotten before each request; what the fills cost after the reply is in the CPU."""

        def each() -> Outcome:
            outcomes = []
            for _ in range(self._effort.cold_requests):
                forget(self._cache)
                outcomes.append(self._client.run(Job(query.body, connections=1, requests=1)))
            return _joined(outcomes)

        self._warm_up(query)
        return self._figures(each, counts, connections=1, background=self.idle_cpu)

    def warm(self, query: NamedQuery, counts: Counts) -> Figures:
        """As many requests as the connections get answered in the time."""
        effort = self._effort
        job = Job(query.body, effort.connections, effort.warm_requests, effort.warm.total_seconds())
        self._warm_up(query)
        return self._figures(lambda: self._client.run(job), counts, effort.connections, background=0.0)

    def _warm_up(self, query: NamedQuery) -> None:
        """Every worker has parsed the document, and the cache is warm."""
        self._client.run(Job(query.body, self._effort.connections, self._effort.connections * 2))

    def _figures(self, requests: Callable[[], Outcome], counts: Counts, connections: int, background: float) -> Figures:
        before, began = self._service.cpu_s(), time.perf_counter()
        outcome = requests()
        elapsed_s = time.perf_counter() - began
        used_s = [after - earlier for after, earlier in zip(self._service.cpu_s(), before, strict=True)]
        cpu_s = sum(used_s) - background * elapsed_s
        asked = len(outcome.latencies_ms)
        return Figures(
            sql=counts.sql,
            redis=counts.redis,
            redis_fills=counts.redis_fills,
            cpu_ms=round(cpu_s * 1000 / asked, 3),
            p50_ms=round(percentile(outcome.latencies_ms, 0.5), 2),
            p99_ms=round(percentile(outcome.latencies_ms, 0.99), 2),
            requests_per_s=round(asked / outcome.elapsed_s, 1),
            busiest_worker_share=round(max(used_s) / sum(used_s), 2),
            response_bytes=outcome.response_bytes,
            requests=asked,
            connections=connections,
            sql_names=counts.sql_names,
        )


def idle_cpu(service: Service, duration: timedelta) -> float:
    """Processor seconds a second that the workers use when nobody asks: drain and upkeep."""
    cpu_s, began = sum(service.cpu_s()), time.perf_counter()
    time.sleep(duration.total_seconds())
    return (sum(service.cpu_s()) - cpu_s) / (time.perf_counter() - began)


def _joined(outcomes: list[Outcome]) -> Outcome:
    latencies = [latency for outcome in outcomes for latency in outcome.latencies_ms]
    return Outcome(latencies, sum(outcome.elapsed_s for outcome in outcomes), outcomes[-1].response_bytes)
