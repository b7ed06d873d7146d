"""A load test as a value that is kept as JSON: percentiles by operation, slices of time, errors, the service beside."""

import math
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ops.perf.load import Effort, Outcome, Sample
from telemetry.histogram import bucket_of

SLICES: Final = 20
"""Parts of the run whose percentiles are compared with those of another run: their spread is the noise."""
SHARES: Final = (*(1 - 10 ** (-step / 10) for step in range(45)), 1.0)
"""Of the curve of percentiles: ten for each nine, to 99.997 %."""
ALL: Final = "all"
GRACE_S: Final = 1.0
"""For the last answers, which come when nothing is sent any more."""
HELD: Final = 0.95


class Latencies(msgspec.Struct, frozen=True):
    """Milliseconds from when a request was meant to leave; None without requests."""

    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float
    mean: float


class OperationFigures(msgspec.Struct, frozen=True):
    """One operation; `slices` are its p50 and p95 in each part of the run. Failed requests have latencies too."""

    requests: int
    failed: int
    refused: int
    latency: Latencies | None
    slices: list[tuple[float, float] | None]


class Second(msgspec.Struct, frozen=True):
    """One step of the run: what was due in it, what ended in it, and how long what was due in it took."""

    at_s: float
    due: int
    ended: int
    failed: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


class Run(msgspec.Struct, frozen=True):
    """Everything that a run found out."""

    made_at: str
    url: str
    rate: float
    duration_s: float
    seed: int
    zipf: float
    mix: Mapping[str, float]
    intended: int
    answered: int
    failed: int
    achieved_per_s: float
    connections: int
    connections_at_most: int
    late_ms: Latencies | None
    client_cpu: float
    step_s: float
    operations: Mapping[str, OperationFigures]
    errors: Mapping[str, int]
    refusals: Mapping[str, int]
    steps: list[Second]
    curve: list[tuple[float, float]]
    buckets: Mapping[int, int]
    machine: Mapping[str, Any]
    began_at: float = 0.0
    service: list[dict[str, Any]] = msgspec.field(default_factory=list)
    versions: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def held(self) -> bool:
        """Whether everything was answered as fast as it came; chance makes it a little more or less than the rate."""
        return self.failed == 0 and self.achieved_per_s >= HELD * self.intended / self.duration_s


def percentile(ordered: Sequence[float], share: float) -> float:
    """A value that was measured: the smallest that so great a share does not exceed."""
    return ordered[max(math.ceil(round(len(ordered) * share, 6)), 1) - 1]


def latencies(values: Iterable[float]) -> Latencies | None:
    """Of measured durations."""
    ordered = sorted(values)
    if not ordered:
        return None
    ranks = [percentile(ordered, share) for share in (0.5, 0.9, 0.95, 0.99, 0.999, 1.0)]
    return Latencies(*(round(value, 3) for value in (*ranks, sum(ordered) / len(ordered))))


def figures(
    outcome: Outcome,
    effort: Effort,
    url: str,
    service: list[dict[str, Any]],
    versions: Mapping[str, str],
) -> Run:
    """What a run comes to."""
    samples = outcome.samples
    by_operation: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_operation[sample.operation].append(sample)
    failed = sum(bool(sample.failure) for sample in samples)
    ordered = sorted(sample.latency_ms for sample in samples)
    step_s = max(1.0, math.ceil(effort.duration_s / 300))
    return Run(
        made_at=datetime.fromtimestamp(outcome.began_at, UTC).isoformat(timespec="seconds"),
        url=url,
        rate=effort.rate,
        duration_s=effort.duration_s,
        seed=effort.seed,
        zipf=effort.zipf,
        mix=effort.mix,
        intended=outcome.intended,
        answered=len(samples) - failed,
        failed=failed,
        achieved_per_s=round((len(samples) - failed) / max(outcome.elapsed_s - GRACE_S, effort.duration_s), 1),
        connections=outcome.connections,
        connections_at_most=effort.connections,
        late_ms=latencies(sample.late_ms for sample in samples),
        client_cpu=outcome.client_cpu,
        step_s=step_s,
        operations={
            ALL: _operation(samples, effort.duration_s),
            **{name: _operation(by_operation[name], effort.duration_s) for name in effort.mix},
        },
        errors=_most_first(Counter(sample.failure for sample in samples if sample.failure)),
        refusals=_most_first(Counter(sample.refusal for sample in samples if sample.refusal)),
        steps=_steps(samples, step_s),
        curve=[(share, round(percentile(ordered, share), 3)) for share in SHARES] if ordered else [],
        buckets=dict(sorted(Counter(bucket_of(ms / 1e3) for ms in ordered).items())),
        machine=_machine(),
        began_at=outcome.began_at,
        service=service,
        versions=versions,
    )


def _operation(samples: Sequence[Sample], duration_s: float) -> OperationFigures:
    parts: list[list[float]] = [[] for _ in range(SLICES)]
    for sample in samples:
        parts[min(int(sample.due_s / duration_s * SLICES), SLICES - 1)].append(sample.latency_ms)
    return OperationFigures(
        requests=len(samples),
        failed=sum(bool(sample.failure) for sample in samples),
        refused=sum(bool(sample.refusal) for sample in samples),
        latency=latencies(sample.latency_ms for sample in samples),
        slices=[(found.p50, found.p95) if (found := latencies(part)) else None for part in parts],
    )


def _steps(samples: Iterable[Sample], step_s: float) -> list[Second]:
    due: defaultdict[int, list[Sample]] = defaultdict(list)
    ended: Counter[int] = Counter()
    for sample in samples:
        due[int(sample.due_s / step_s)].append(sample)
        if not sample.failure:
            ended[int((sample.due_s + sample.latency_ms / 1e3) / step_s)] += 1
    return [_step(number * step_s, due[number], ended[number]) for number in range(max((*due, *ended), default=-1) + 1)]


def _step(at_s: float, samples: Sequence[Sample], ended: int) -> Second:
    found = latencies(sample.latency_ms for sample in samples)
    failed = sum(bool(sample.failure) for sample in samples)
    if found is None:
        return Second(at_s, 0, ended, 0, None, None, None, None)
    return Second(at_s, len(samples), ended, failed, found.p50, found.p95, found.p99, found.max)


def _most_first(counted: Counter[str]) -> dict[str, int]:
    return dict(counted.most_common())


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "system": platform.system(),
    }
