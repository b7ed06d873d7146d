"""The figures of a run as values, and the arithmetic on them."""

from collections.abc import Iterable, Sequence
from statistics import fmean

import msgspec


class Counts(msgspec.Struct, frozen=True):
    """What one request made the layers below do: names of SQL statements, commands to Redis.

    `redis_reads` and `redis_leases` are waited for; `redis_fills` leave after the reply.
    """

    sql_names: list[str]
    redis_reads: int
    redis_leases: int
    redis_fills: int

    @property
    def sql(self) -> int:
        """SQL statements."""
        return len(self.sql_names)

    @property
    def redis(self) -> int:
        """Round trips to Redis that the answer waited for."""
        return self.redis_reads + self.redis_leases


class CountsByState(msgspec.Struct, frozen=True):
    """The counts of one query with the settings of one process."""

    cold: Counts
    warm: Counts


class Figures(msgspec.Struct, frozen=True):
    """One query in one state of the cache."""

    sql: int
    redis: int
    redis_fills: int
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    requests_per_s: float
    busiest_worker_share: float
    response_bytes: int
    requests: int
    connections: int
    sql_names: list[str]


class PeerRatio(msgspec.Struct, frozen=True):
    """Our CPU divided by a peer's on the nearest query: warm and rows by its hot cache, cold by its miss and fill."""

    server: str
    query: str
    warm: float
    rows: float
    cold: float | None


class Ratios(msgspec.Struct, frozen=True):
    """Each state divided by cold, and ours divided by the peers' figures of another run and machine."""

    warm_to_cold_cpu: float
    rows_to_cold_cpu: float
    warm_to_cold_p50: float
    cpu_to_peers: list[PeerRatio]


class QueryFigures(msgspec.Struct, frozen=True):
    """One query: nothing cached; rows cached, answers made anew; whole answers kept."""

    cold: Figures
    rows: Figures
    warm: Figures
    ratios: Ratios


def percentile(values: Sequence[float], rank: float) -> float:
    """The smallest value that at least `rank` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(rank * 100) // 100) - 1)]


def ratio(ours: float, theirs: float) -> float:
    """Ours divided by theirs, to three digits."""
    return float(f"{ours / theirs:.3g}")


def middle_mean(values: Iterable[float]) -> float:
    """The mean of the middle half: rare large values do not move it, nor does it jump between two common ones."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return fmean(ordered[quarter : len(ordered) - quarter])
