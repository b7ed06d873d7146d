"""How often something ran and how long it took, by a bounded number of names; recorded in about a microsecond."""

from telemetry.histogram import LAST, bucket_of

OTHERS = "(others)"
"""Stands for every name past the limit: clients choose the names of operations, and must not fill our memory."""


class Timing:
    """Number, errors, total and distribution of the durations of one name."""

    __slots__ = ("buckets", "count", "errors", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.errors = 0
        self.seconds = 0.0
        self.buckets = [0] * (LAST + 1)

    def add(self, seconds: float, failed: bool) -> None:
        """One more."""
        self.count += 1
        self.errors += failed
        self.seconds += seconds
        self.buckets[bucket_of(seconds)] += 1

    def sums(self) -> dict[str, object]:
        """Everything as numbers that can be added over processes; buckets without entries are left out."""
        buckets = {str(bucket): number for bucket, number in enumerate(self.buckets) if number}
        return {"count": self.count, "errors": self.errors, "seconds": round(self.seconds, 6), "buckets": buckets}


class Timings:
    """Timings by name; the first `most_names` have one of their own."""

    def __init__(self, most_names: int) -> None:
        self.by_name: dict[str, Timing] = {}
        self._most_names = most_names

    def add(self, name: str, seconds: float, failed: bool = False) -> None:
        """Record one run of `name`."""
        (self.by_name.get(name) or self._new(name)).add(seconds, failed)

    def sums(self) -> dict[str, object]:
        """The sums of every name."""
        return {name: timing.sums() for name, timing in self.by_name.items()}

    def _new(self, name: str) -> Timing:
        return self.by_name.setdefault(name if len(self.by_name) < self._most_names else OTHERS, Timing())
