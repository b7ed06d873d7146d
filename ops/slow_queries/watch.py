"""What statements do while one watches: their calls and time since the last view, the busiest first."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import Group, RenderableType

from ops.slow_queries.record import Record, Sender, Statement
from ops.slow_queries.screen import latest_table, sent_by, title_of
from ops.terminal import table

Calls = Mapping[str, tuple[int, float]]
LATEST = 5


class Busy(msgspec.Struct, frozen=True):
    """A statement within the time between two views."""

    name: str
    queryid: str | None
    calls: int
    per_s: float
    total_ms: float
    mean_ms: float
    senders: list[Sender]


class View(msgspec.Struct, frozen=True):
    """One view; `seconds` since the one before, 0 for the first, whose figures are of all time."""

    at: float
    seconds: float
    source: str
    threshold_ms: float
    statements: list[Busy]
    latest: list[dict[str, Any]] | None


class Watch:
    """Compares each record with the one before it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._before: Calls = {}
        self._at_s: float | None = None

    def view(self, record: Record) -> View:
        """What happened since the last view."""
        now_s = time.monotonic()
        seconds = 0.0 if self._at_s is None else now_s - self._at_s
        busy = sorted(self._busy(record, seconds), key=lambda one: (-one.total_ms, one.name))[: self._most]
        self._before = {_key(one): (one.calls, one.total_ms) for one in record.statements}
        self._at_s = now_s
        latest = None if record.latest is None else record.latest[-LATEST:]
        return View(time.time(), round(seconds, 2), record.source, record.threshold_ms, busy, latest)

    def _busy(self, record: Record, seconds: float) -> Iterator[Busy]:
        for one in record.statements:
            calls, total_ms = self._before.get(_key(one), (0, 0.0))
            if one.calls < calls:  # they were reset meanwhile
                calls, total_ms = 0, 0.0
            more, ms = one.calls - calls, max(one.total_ms - total_ms, 0.0)
            if more:
                per_s = round(more / seconds, 2) if seconds else 0.0
                name = title_of(one)
                yield Busy(name, one.queryid, more, per_s, round(ms, 3), round(ms / more, 3), one.senders)


def _key(one: Statement) -> str:
    return one.queryid or title_of(one)


def watched(view: View) -> RenderableType:
    """A view on a terminal."""
    columns = ("statement", ">calls", ">per s", ">ms", ">mean ms", "sent by (loader)")
    rows = [
        (one.name, one.calls, one.per_s, one.total_ms, one.mean_ms, sent_by(one.senders, 2)) for one in view.statements
    ]
    title = f"Statements of the last {view.seconds:g} s" if view.seconds else "Statements since they are counted"
    parts: list[RenderableType] = [f"Source: {view.source}\n", table(title, columns, rows)]
    if view.latest is not None:
        parts += ["", latest_table(view.threshold_ms, view.latest)]
    return Group(*parts)
