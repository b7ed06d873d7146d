"""What executed operations made PostgreSQL do: statements, their time, and those sent again and again."""

import time
from collections import Counter
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


executions: Final[dict[str, Executions]] = {}
_current: "ContextVar[executing | None]" = ContextVar("current", default=None)


class executing:
    """Count what the code within it, and the tasks that it starts, sends for an operation.

    A class, since a generator would cost twice as much.
    """

    __slots__ = ("_began_s", "_operation", "_token", "number_by_statement", "sql_seconds", "waited_seconds")

    def __init__(self, operation: str) -> None:
        self._operation = operation
        self.number_by_statement: dict[str, int] = {}
        self.sql_seconds = 0.0
        self.waited_seconds = 0.0

    def __enter__(self) -> None:
        self._token = _current.set(self)
        self._began_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        seconds = time.perf_counter() - self._began_s
        _current.reset(self._token)
        name = self._operation
        sums = executions.get(name) or _new(name)
        sums.count += 1
        sums.seconds += seconds
        sums.sql_seconds += self.sql_seconds
        sums.waited_seconds += self.waited_seconds
        for statement, number in self.number_by_statement.items():
            sums.statements += number
            if number >= MANY:
                sums.repeated[statement] += 1
                sums.times[statement] += number


def note_sent(statement: str, seconds: float) -> None:
    """A statement was answered; of executions that share a batch it counts for the one that began it."""
    if current := _current.get():
        current.number_by_statement[statement] = current.number_by_statement.get(statement, 0) + 1
        current.sql_seconds += seconds


def note_waited(seconds: float) -> None:
    """A connection was waited for."""
    if current := _current.get():
        current.waited_seconds += seconds


def _new(operation: str) -> Executions:
    return executions.setdefault(operation if len(executions) < MOST_OPERATIONS else OTHERS, Executions())
