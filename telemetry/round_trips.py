"""Times round trips to Redis, for the ledger and the trace of the request that waits for them."""

from time import perf_counter
from typing import TypeVar

from telemetry.ledger import Ledger, current_ledger
from telemetry.tracing import Span, Value, current_span, note_client_call

A = TypeVar("A", Ledger, Span)


class RoundTrip:
    """One wait for Redis. Reads of one tick share a flight: a request, and a span, count that once."""

    __slots__ = ("_began_s", "_command", "_flight", "_ledger", "_span")

    def __init__(self, command: str, flight: int = 0) -> None:
        self._command = command
        self._flight = flight

    def __enter__(self) -> None:
        self._began_s = perf_counter()
        ledger, span = current_ledger.get(), current_span.get()
        self._ledger = ledger and _unless_aboard(ledger, self._flight)
        self._span = span and _unless_aboard(span, self._flight)

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        seconds = perf_counter() - self._began_s
        if self._ledger is not None:
            self._ledger.redis += 1
            self._ledger.redis_s += seconds
        if self._span is not None:
            facts: dict[str, Value] = {"db.system.name": "redis", "db.operation.name": self._command}
            if self._flight:
                facts["rollcall.redis.flight"] = self._flight
            note_client_call(f"redis {self._command}", seconds, error is not None, facts)


def _unless_aboard(found: A, flight: int) -> A | None:
    if flight and found.last_flight == flight:
        return None
    found.last_flight = flight or found.last_flight
    return found
