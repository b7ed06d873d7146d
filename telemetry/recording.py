"""What one request made the layers below do: statements, round trips, batches; recorded only when asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Recording:
    """Names of SQL statements in order, ids of Redis round trips, and (loader, keys, hits) of each batch.

    `bypasses` has (loader, reason, keys) of what was not looked for in the cache, or could not be stored in it.
    """

    sql: list[str] = field(default_factory=list)
    redis: list[int] = field(default_factory=list)
    batches: list[tuple[str, int, int]] = field(default_factory=list)
    bypasses: list[tuple[str, str, int]] = field(default_factory=list)


_recording: ContextVar[Recording | None] = ContextVar("recording", default=None)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record everything that the code within it, and the tasks that it starts, make the layers do."""
    made = Recording()
    token = _recording.set(made)
    try:
        yield made
    finally:
        _recording.reset(token)


def record_sql(statement: str) -> None:
    """A statement was sent to PostgreSQL."""
    if found := _recording.get():
        found.sql.append(statement)


def record_redis(round_trip: int) -> None:
    """Part of a round trip to Redis; requests of one event-loop tick share one, a request counts it once."""
    if (found := _recording.get()) and round_trip not in found.redis:
        found.redis.append(round_trip)


def record_batch(loader: str, keys: int, hits: int) -> None:
    """A DataLoader dispatched a batch."""
    if found := _recording.get():
        found.batches.append((loader, keys, hits))


def record_bypass(loader: str, reason: str, keys: int) -> None:
    """Keys went past the cache."""
    if found := _recording.get():
        found.bypasses.append((loader, reason, keys))
