"""Spans: what a request, its operation, its batches, statements and round trips took, handed to who exports them.

Off, which is when no exporter is set, no span is made and every function here returns after one look. Nothing here
knows OpenTelemetry; web/trace_export.py does.
"""

import random
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Final, Literal, NamedTuple, Protocol

Kind = Literal["server", "internal", "client"]
Value = str | int | Sequence[str]

TRACEPARENT: Final = re.compile(rb"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
"""W3C Trace Context; a version above 00 may have more at its end."""


class Parent(NamedTuple):
    """The span of a caller, as its traceparent names it."""

    trace_id: int
    span_id: int
    sampled: bool


class Exporter(Protocol):
    """What is told of every span that has ended; must not wait."""

    def samples(self, trace_id: int, parent: Parent | None) -> bool:
        """Whether a request is traced."""

    def export(self, span: "Span") -> None:
        """Take a span that has ended."""


class Tracer:
    """That of this process."""

    def __init__(self) -> None:
        self.exporter: Exporter | None = None


tracer: Final = Tracer()


class Span:
    """One piece of work of a trace; as a context it is the parent of the spans begun within, and ends with it."""

    __slots__ = (
        "_token",
        "attributes",
        "began_ns",
        "ended_ns",
        "failed",
        "kind",
        "last_flight",
        "name",
        "parent_id",
        "span_id",
        "trace_id",
    )

    def __init__(self, name: str, kind: Kind, trace_id: int, parent_id: int | None, began_ns: int) -> None:
        self.name = name
        self.kind: Kind = kind
        self.trace_id = trace_id
        self.span_id = random.getrandbits(64) or 1
        self.parent_id = parent_id
        self.began_ns = began_ns
        self.ended_ns = 0
        self.failed = False
        self.attributes: dict[str, Value] = {}
        self.last_flight = 0
        self._token: Token[Span | None] | None = None

    def __enter__(self) -> "Span":
        self._token = current_span.set(self)
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        assert self._token is not None
        current_span.reset(self._token)
        self.failed |= error is not None
        self.end()

    def end(self, at_ns: int | None = None) -> None:
        """The work is done: now, or at a moment since the epoch."""
        self.ended_ns = time.time_ns() if at_ns is None else at_ns
        if tracer.exporter is not None:
            tracer.exporter.export(self)


current_span: Final[ContextVar[Span | None]] = ContextVar("current_span", default=None)


def begin_request(headers: Iterable[tuple[bytes, bytes]]) -> Span | None:
    """The outermost span of a request; None when it is not traced.

    It is the parent of everything that the task goes on to do.
    """
    if tracer.exporter is None:
        return None
    parent = parent_in([value for name, value in headers if name == b"traceparent"])
    trace_id = parent.trace_id if parent else random.getrandbits(128) or 1
    if not tracer.exporter.samples(trace_id, parent):
        return None
    span = Span("HTTP", "server", trace_id, parent.span_id if parent else None, time.time_ns())
    current_span.set(span)
    return span


def begin(name: str) -> Span | None:
    """A span within the present one; None when nothing is traced."""
    above = current_span.get()
    return above and Span(name, "internal", above.trace_id, above.span_id, time.time_ns())


def tally(attribute: str, amount: int) -> None:
    """Add to a number of the present span."""
    if (span := current_span.get()) is not None:
        so_far = span.attributes.get(attribute, 0)
        assert isinstance(so_far, int)
        span.attributes[attribute] = so_far + amount


def note_client_call(name: str, seconds: float, failed: bool, attributes: Mapping[str, Value]) -> None:
    """A server of ours answered, or failed, just now."""
    if (above := current_span.get()) is None:
        return
    now_ns = time.time_ns()
    span = Span(name, "client", above.trace_id, above.span_id, now_ns - round(seconds * 1e9))
    span.failed = failed
    span.attributes.update(attributes)
    span.end(now_ns)


def parent_in(traceparents: Sequence[bytes]) -> Parent | None:
    """What the headers `traceparent` name: None unless there is exactly one, and that is sane."""
    found = TRACEPARENT.fullmatch(traceparents[0]) if len(traceparents) == 1 else None
    if found is None or (found[1] == b"00" and found[5]):
        return None
    parent = Parent(int(found[2], 16), int(found[3], 16), bool(int(found[4], 16) & 1))
    return parent if parent.trace_id and parent.span_id else None


def traceresponse(span: Span) -> str:
    """What tells the caller the name of the span, in the form of a traceparent."""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-01"
