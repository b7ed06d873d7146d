"""Exact counts of statements and round trips; a wrong count prints every one of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from telemetry.recording import Recording, record_batch, record_bypass, record_redis, record_sql, recording


@contextmanager
def round_trips(*, sql: int | None = None, redis: int | None = None) -> Iterator[Recording]:
    """Assert how many SQL statements and Redis reads the block makes; None does not matter."""
    with recorded() as made:
        yield made
    found = (len(made.sql), len(made.redis))
    wanted = (found[0] if sql is None else sql, found[1] if redis is None else redis)
    if found != wanted:
        raise AssertionError(f"needed {wanted[0]} SQL and {wanted[1]} Redis round trips, got {told(made)}")


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record a block; a recording around it hears of the same."""
    with recording() as made:
        yield made
    for statement in made.sql:
        record_sql(statement)
    for round_trip in made.redis:
        record_redis(round_trip)
    for batch in made.batches:
        record_batch(*batch)
    for bypass in made.bypasses:
        record_bypass(*bypass)


def told(made: Recording) -> str:
    """A recording as a list, one statement or batch a line."""
    lines = [f"{len(made.sql)} SQL and {len(made.redis)} Redis round trips"]
    lines += [f"  sql    {name}" for name in made.sql]
    lines += [f"  batch  {name}: {keys} keys, {hits} hits" for name, keys, hits in made.batches]
    return "\n".join(lines)
