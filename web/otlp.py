"""The sending side of traces, by OpenTelemetry's own exporter; needs the extra `otel`.

Spans wait in memory for a thread that sends them in batches; while too many wait the oldest are dropped. A span of the
OpenTelemetry SDK costs eight times ours, so that only its end is used: sampler, resource, queue and exporter.
"""

import logging
import os
import socket
from importlib.metadata import version
from typing import Final

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource, ResourceDetector
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AnyValue
from setproctitle import getproctitle

from telemetry.tracing import Parent, Span

SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
UNSAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
KINDS: Final = {"server": SpanKind.SERVER, "internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT}
STATUSES: Final = {False: Status(StatusCode.UNSET), True: Status(StatusCode.ERROR)}
OF_OPENTELEMETRY: Final = logging.getLogger("opentelemetry")

log = structlog.get_logger("rollcall.traces")


class Otlp:
    """Decides which requests are traced, and puts spans where the sending thread finds them."""

    def __init__(self, sampler: Sampler, resource: Resource, processor: BatchSpanProcessor) -> None:
        self._sampler = sampler
        self._resource = resource
        self._processor = processor
        self._scope = InstrumentationScope("rollcall", version("rollcall"))
        self._words = _ToOurLog()
        OF_OPENTELEMETRY.addHandler(self._words)

    def samples(self, trace_id: int, parent: Parent | None) -> bool:
        """What OTEL_TRACES_SAMPLER says."""
        above = None
        if parent is not None:
            context = _context(trace_id, parent.span_id, SAMPLED if parent.sampled else UNSAMPLED, remote=True)
            above = set_span_in_context(NonRecordingSpan(context))
        return self._sampler.should_sample(above, trace_id, "HTTP").decision is Decision.RECORD_AND_SAMPLE

    def export(self, span: Span) -> None:
        """Take a span that has ended."""
        parent = None if span.parent_id is None else _context(span.trace_id, span.parent_id)
        ended = ReadableSpan(
            span.name,
            _context(span.trace_id, span.span_id),
            parent,
            self._resource,
            span.attributes,
            kind=KINDS[span.kind],
            status=STATUSES[span.failed],
            start_time=span.began_ns,
            end_time=span.ended_ns,
            instrumentation_scope=self._scope,
        )
        self._processor.on_end(ended)

    def close(self) -> None:
        """Send what waits; takes as long as the collector does."""
        self._processor.shutdown()  # type: ignore[no-untyped-call]
        OF_OPENTELEMETRY.removeHandler(self._words)


def open_otlp() -> Otlp:
    """As the variables say."""
    facts: dict[str, AnyValue] = {
        "service.name": "rollcall",
        "service.version": version("rollcall"),
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        "process.pid": os.getpid(),
        "rollcall.worker": getproctitle().rpartition("rollcall: ")[2],
    }
    named: ResourceDetector = OTELResourceDetector()  # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES
    resource = Resource.create(facts).merge(named.detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)  # knows the sampler that the variables name
    return Otlp(provider.sampler, resource, BatchSpanProcessor(OTLPSpanExporter()))


def _context(trace_id: int, span_id: int, flags: TraceFlags = SAMPLED, *, remote: bool = False) -> SpanContext:
    make: type[SpanContext] = SpanContext
    return make(trace_id, span_id, remote, flags)


class _ToOurLog(logging.Handler):
    """What OpenTelemetry says of itself, such as that its collector is away, as lines of our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("traces", detail=record.getMessage()[:300])
