"""What executed operations made PostgreSQL do: statements, their time, and those sent again and again."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from telemetry.timings import OTHERS

MANY: Final = 10
"""A statement that one operation sends so often is sent once for each row: batches ask for all rows at once."""
MOST_OPERATIONS: Final = 60


class Executions:
    """The sums of one operation; answers that were kept whole are not executed and not counted."""

    __slots__ = ("count", "repeated", "seconds", "sql_seconds", "statements", "times", "waited_seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.statements = 0
        self.sql_seconds = 0.0
        self.waited_seconds = 0.0
        self.repeated: Counter[str] = Counter()
        self.times: Counter[str] = Counter()

    def sums(self) -> dict[str, object]:
        """Everything as numbers that can be added over processes; `repeated` counts executions, `times` statements."""
        return {
            "count": self.count,
            "seconds": round(self.seconds, 6),
            "statements": self.statements,
            "sql_seconds": round(self.sql_seconds, 6),
            "waited_seconds": round(self.waited_seconds, 6),
            "repeated": dict(self.repeated),
            "times": dict(self.times),
        }


class _Sent:
    """What one execution has sent so far."""

    __slots__ = ("number_by_statement", "seconds", "waited_seconds")

    def __init__(self) -> None:
        self.number_by_statement: Counter[str] = Counter()
        self.seconds = 0.0
        self.waited_seconds = 0.0


executions: Final[dict[str, Executions]] = {}
_sent: ContextVar[_Sent | None] = ContextVar("sent", default=None)


@contextmanager
def executing(operation: str) -> Iterator[None]:
    """Count what the code within it, and the tasks that it starts, sends for an operation."""
    sent, began_s = _Sent(), time.perf_counter()
    token = _sent.set(sent)
    try:
        yield
    finally:
        _sent.reset(token)
        _add(operation, sent, time.perf_counter() - began_s)


def note_sent(statement: str, seconds: float) -> None:
    """A statement was answered; of executions that share a batch it counts for the one that began it."""
    if sent := _sent.get():
        sent.number_by_statement[statement] += 1
        sent.seconds += seconds


def note_waited(seconds: float) -> None:
    """A connection was waited for."""
    if sent := _sent.get():
        sent.waited_seconds += seconds


def _add(operation: str, sent: _Sent, seconds: float) -> None:
    name = operation if operation in executions or len(executions) < MOST_OPERATIONS else OTHERS
    sums = executions.setdefault(name, Executions())
    sums.count += 1
    sums.seconds += seconds
    sums.statements += sent.number_by_statement.total()
    sums.sql_seconds += sent.seconds
    sums.waited_seconds += sent.waited_seconds
    for statement, number in sent.number_by_statement.items():
        if number >= MANY:
            sums.repeated[statement] += 1
            sums.times[statement] += number
