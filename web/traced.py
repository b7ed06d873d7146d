"""What a request and its operation are called in traces; what of them is told: never who asked, nor any value."""

from collections.abc import Iterable

from starlette.types import Scope

from telemetry.ledger import Ledger
from telemetry.tracing import Span, Value, begin, begin_request, traceresponse
from web.measured import OUR_FAULT, failed, operation_label, part_of
from web.request_record import RequestRecord

METHODS = frozenset(("GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"))


def request_begins(scope: Scope, record: RequestRecord) -> Span | None:
    """The span of a request, None when it is not traced; from here on the record tells its trace."""
    span = begin_request(scope["headers"])
    if span is not None:
        record.trace_id = f"{span.trace_id:032x}"
    return span


def shown(span: Span | None) -> Iterable[tuple[bytes, bytes]]:
    """The header that tells a client where its request is traced."""
    return [] if span is None else [(b"traceresponse", traceresponse(span).encode("ascii"))]


def request_ends(span: Span, scope: Scope, record: RequestRecord, ledger: Ledger) -> None:
    """It was answered, or its client has left."""
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    facts: dict[str, Value] = {"http.request.method": method, "rollcall.request_id": record.request_id}
    span.name = method
    if part := part_of(scope):
        span.name = f"{method} /{part}"
        facts["http.route"] = f"/{part}"
    if record.status is not None:
        facts["http.response.status_code"] = record.status
    if ledger.viewer:
        facts["rollcall.viewer"] = ledger.viewer
    span.attributes.update(facts)
    span.failed = failed(record)
    span.end()


class TracedOperation:
    """Within it a request is read, prepared and answered; the record tells afterwards what it was."""

    __slots__ = ("_record", "_span")

    def __init__(self, record: RequestRecord) -> None:
        self._record = record

    def __enter__(self) -> None:
        self._span = begin("graphql")
        if self._span is not None:
            self._span.__enter__()

    def __exit__(self, *_: object) -> None:
        if self._span is not None:
            _describe(self._span, self._record)
            self._span.__exit__(None)


def _describe(span: Span, record: RequestRecord) -> None:
    if record.operation_type is not None:
        span.name = operation_label(record.operation_type, record.operation_name)
        span.attributes["graphql.operation.type"] = record.operation_type
    if record.operation_name is not None:
        span.attributes["graphql.operation.name"] = record.operation_name
    if record.cost is not None:
        span.attributes["rollcall.cost"] = record.cost
    if record.error_codes:
        span.attributes["rollcall.error_codes"] = record.error_codes
    span.failed = not OUR_FAULT.isdisjoint(record.error_codes)
