"""A collector of OpenTelemetry traces: what was sent to it by OTLP over HTTP, as spans with parents and children."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import bench.collector

PATIENCE_S = 20.0


@dataclass
class Received:
    """A span as it arrived."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    failed: bool
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


@dataclass
class Collector:
    """What has been received; it hangs while the gate is closed, which is `set` when it is open."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)
    asked: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def take(self, body: bytes) -> None:
        self.asked.set()
        assert self.gate.wait(PATIENCE_S)
        with self.news:
            self.spans += _spans(body)
            self.news.notify_all()

    def trace(self, trace_id: str) -> list[Received]:
        """The spans of a trace once its outermost one, which ends last, has arrived."""
        deadline = time.monotonic() + PATIENCE_S
        with self.news:
            while True:
                found = [span for span in self.spans if span.trace_id == trace_id]
                if any(span.kind == 2 for span in found):  # SPAN_KIND_SERVER
                    return found
                assert self.news.wait(deadline - time.monotonic()), f"no trace {trace_id} of {len(self.spans)} spans"


def tree(spans: list[Received]) -> Any:
    """Names with their children in the order in which they began, nested below the outermost span."""
    known = {span.span_id for span in spans}
    [top] = [span for span in spans if span.parent_id not in known]

    def below(parent: Received) -> Any:
        children = sorted((s for s in spans if s.parent_id == parent.span_id), key=lambda s: s.began_ns)
        return {parent.name: [below(child) for child in children]} if children else parent.name

    return below(top)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    collector = Collector()
    with bench.collector.collecting(collector.take) as collector.url:
        yield collector


def _spans(body: bytes) -> list[Received]:
    return [
        Received(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            span.status.code == 2,
            _values(span.attributes),
            _values(group.resource.attributes),
        )
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _values(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [item.string_value for item in value.values] if kind == "array_value" else value
    return found
