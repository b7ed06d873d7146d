"""What one request has spent on statements and round trips so far, and for whom: the last line of it says so."""

from contextvars import ContextVar
from typing import Final


class Ledger:
    """The account of one request; work that goes on after its answer is not entered."""

    __slots__ = ("last_flight", "redis", "redis_s", "sql", "sql_s", "viewer")

    def __init__(self) -> None:
        self.sql = 0
        self.sql_s = 0.0
        self.redis = 0
        self.redis_s = 0.0
        self.last_flight = 0
        self.viewer = ""
        """The class of the viewer, e.g. HR; never who it is."""

    def facts(self) -> dict[str, str | int | float]:
        """What is worth saying: nothing of what there was none of."""
        found: dict[str, str | int | float] = {}
        if self.viewer:
            found["viewer"] = self.viewer
        if self.sql:
            found |= {"sql": self.sql, "sql_ms": round(self.sql_s * 1e3, 2)}
        if self.redis:
            found |= {"redis": self.redis, "redis_ms": round(self.redis_s * 1e3, 2)}
        return found


current_ledger: Final[ContextVar[Ledger | None]] = ContextVar("current_ledger", default=None)


def open_ledger() -> Ledger:
    """A ledger for everything that this task, and those that it starts, will do."""
    ledger = Ledger()
    current_ledger.set(ledger)
    return ledger


def charge_statement(seconds: float) -> None:
    """A statement was answered, or failed."""
    if ledger := current_ledger.get():
        ledger.sql += 1
        ledger.sql_s += seconds


def note_viewer(of_class: str) -> None:
    """It is known whom the request is answered for."""
    if ledger := current_ledger.get():
        ledger.viewer = of_class
