"""What is done with each statement once it was answered: counted, logged if it is wanted, shown to who watches.

A line of the log holds no values, since those are personal data; who watches is given them.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

import structlog

from telemetry.requests import current_loader, current_operation, current_request, observe_statement, slow

log = structlog.get_logger("rollcall.sql")


class Sent(NamedTuple):
    """A statement that was answered or failed, with its values, and what it was sent for."""

    name: str
    sql: str
    arguments: Sequence[Any]
    seconds: float
    failed: bool
    operation: str
    loader: str


_watching: ContextVar[list[Sent] | None] = ContextVar("watching", default=None)


class StatementLog:
    """That of this process: whether all statements are written to the log, or slow ones, or none.

    `on_slow` is called for each slow statement and must not wait.
    """

    def __init__(self) -> None:
        self.every = False
        self.slow = False
        self.on_slow: Callable[[Sent], None] | None = None

    def note(self, name: str, sql: str, arguments: Sequence[Any], seconds: float, failed: bool) -> None:
        """A statement was answered, or failed."""
        observe_statement(name, seconds, failed)
        watching, is_slow = _watching.get(), seconds > slow.threshold_s
        if self.every or (self.slow and is_slow):
            _write("slow statement" if is_slow else "statement", name, seconds, failed)
        on_slow = self.on_slow if is_slow else None
        if watching is None and on_slow is None:
            return
        sent = Sent(name, sql, arguments, seconds, failed, current_operation.get(), current_loader.get())
        if watching is not None:
            watching.append(sent)
        if on_slow is not None:
            on_slow(sent)


statement_log: Final = StatementLog()


@contextmanager
def watching_statements() -> Iterator[list[Sent]]:
    """Collect every statement that the code within it, and the tasks that it starts, send."""
    found: list[Sent] = []
    token = _watching.set(found)
    try:
        yield found
    finally:
        _watching.reset(token)


def _write(event: str, name: str, seconds: float, failed: bool) -> None:
    operation, loader, request_id = current_operation.get(), current_loader.get(), current_request.get()
    facts = {"operation": operation, "loader": loader, "request_id": request_id, "failed": failed}
    log.info(event, name=name, ms=round(seconds * 1e3, 2), **{key: value for key, value in facts.items() if value})
