"""Histograms of durations: four buckets for each doubling from 62.5 us to 32.8 s, and their percentiles."""

import math
from collections.abc import Mapping
from typing import Final

LOWEST_S: Final = 0.0000625
PER_DOUBLING: Final = 4
LAST: Final = 77
"""The bucket of everything above 32.8 s; the ones below it end at `bound_s`."""

_SCALE: Final = 1 / LOWEST_S


def bucket_of(seconds: float) -> int:
    """The number of the bucket that a duration falls into."""
    if seconds <= LOWEST_S:
        return 0
    return min(math.ceil(math.log2(seconds * _SCALE) * PER_DOUBLING), LAST)


def bound_s(bucket: int) -> float:
    """The longest duration of a bucket."""
    return LOWEST_S * math.exp2(bucket / PER_DOUBLING)


def percentile_s(buckets: Mapping[str, float], share: float) -> float | None:
    """The duration below which a share of all lies, at most 19 % off; None without any."""
    total = sum(buckets.values())
    if total <= 0:
        return None
    wanted, seen = total * share, 0.0
    for bucket, number in sorted((int(name), number) for name, number in buckets.items()):
        if number > 0 and seen + number >= wanted:
            within = (wanted - seen) / number
            return bound_s(min(bucket, LAST - 1)) * math.exp2((within - 1) / PER_DOUBLING)
        seen += number
    return bound_s(LAST - 1)
