"""Two load tests side by side: ratios, and whether a difference is more than the noise within the runs."""

import math
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from domain.errors import RollcallError
from ops.perf.figures import Run

Verdict = Literal["better", "worse", "noise", "too few"]
LEAST_CHANGE: Final = 0.05
LEAST_Z: Final = 2.576
"""Of the rank test, two-sided: chance alone gives so much once in a hundred times."""
FEWEST: Final = 8
"""Slices of each run; with fewer even a complete order is likely by chance."""


class Compared(msgspec.Struct, frozen=True):
    """A figure of an operation in both runs; `ratio` is the second by the first."""

    operation: str
    figure: str
    first: float
    second: float
    ratio: float
    verdict: Verdict


def compared(first: Run, second: Run) -> list[Compared]:
    """Latencies of every operation that both have; raises when there is none."""
    found = list(_compared(first, second))
    if not found:
        raise RollcallError("--compare: the two runs have no operation in common")
    return found


def differences(first: Run, second: Run) -> list[str]:
    """What else was different, so that ratios are not believed blindly."""
    names = ("rate", "duration_s", "zipf", "mix", "connections_at_most", "machine")
    pairs = ((name, getattr(first, name), getattr(second, name)) for name in names)
    return [f"{name}: {one} and {other}" for name, one, other in pairs if _settled(one) != _settled(other)]


def _settled(value: object) -> object:
    return {k: v for k, v in value.items() if k != "load"} if isinstance(value, dict) else value


def _compared(first: Run, second: Run) -> Iterator[Compared]:
    for name, one in first.operations.items():
        other = second.operations.get(name)
        if other is None or one.latency is None or other.latency is None:
            continue
        for index, figure in enumerate(("p50", "p95")):
            values = [[part[index] for part in of.slices if part is not None] for of in (one, other)]
            before, after = getattr(one.latency, figure), getattr(other.latency, figure)
            ratio = after / before if before else math.inf
            yield Compared(name, figure, before, after, round(ratio, 3), judged(ratio, *values))


def judged(ratio: float, first: Sequence[float], second: Sequence[float]) -> Verdict:
    """By the slices of both runs: do those of one lie above those of the other more than chance would have it?"""
    if min(len(first), len(second)) < FEWEST:
        return "too few"
    if abs(ratio - 1) < LEAST_CHANGE or abs(rank_z(first, second)) < LEAST_Z:
        return "noise"
    return "worse" if ratio > 1 else "better"


def rank_z(first: Sequence[float], second: Sequence[float]) -> float:
    """Mann and Whitney's U as a number of standard deviations; above 0 the second one's are greater."""
    above = sum((b > a) + (b == a) / 2 for a in first for b in second)
    n, m = len(first), len(second)
    return (above - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
