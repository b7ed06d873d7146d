"""Requests and SQL statements of this process: how many, how long, and the latest slow statements."""

import time
from collections import deque
from contextvars import ContextVar
from datetime import timedelta
from typing import Final, NamedTuple

from telemetry.executions import note_sent
from telemetry.ledger import charge_statement
from telemetry.senders import Senders
from telemetry.timings import Timings
from telemetry.tracing import current_span, note_client_call

operations: Final = Timings(most_names=60)
statements: Final = Timings(most_names=200)
senders: Final = Senders(most=300)  # a worker reports them every second, some 60 bytes each
current_operation: Final[ContextVar[str]] = ContextVar("current_operation", default="")
"""Which operation a statement is sent for; of requests that share a batch the one that began it."""
current_loader: Final[ContextVar[str]] = ContextVar("current_loader", default="")
"""Which lookup a statement is sent for."""
current_request: Final[ContextVar[str]] = ContextVar("current_request", default="")
"""The id of the request that a statement is sent for."""

MOST_SLOW: Final = 20


class SlowStatement(NamedTuple):
    """A statement that took longer than the threshold; `number` counts them within the process."""

    number: int
    at: float
    name: str
    ms: float
    operation: str
    loader: str = ""


class SlowLog:
    """The latest slow statements; the threshold is set when the process starts."""

    def __init__(self) -> None:
        self.threshold_s = timedelta(milliseconds=200).total_seconds()
        self.seen = 0
        self.latest: deque[SlowStatement] = deque(maxlen=MOST_SLOW)

    def note(self, name: str, seconds: float) -> None:
        """Remember a slow statement."""
        self.seen += 1
        operation, loader = current_operation.get(), current_loader.get()
        self.latest.append(SlowStatement(self.seen, time.time(), name, round(seconds * 1e3, 1), operation, loader))


slow: Final = SlowLog()


def observe_statement(name: str, seconds: float, failed: bool = False) -> None:
    """A statement was answered, or failed."""
    statements.add(name, seconds, failed)
    senders.add(name, current_operation.get(), current_loader.get())
    note_sent(name, seconds)
    charge_statement(seconds)
    if current_span.get() is not None:
        note_client_call(f"sql {name}", seconds, failed, {"db.system.name": "postgresql", "db.operation.name": name})
    if seconds > slow.threshold_s:
        slow.note(name, seconds)
