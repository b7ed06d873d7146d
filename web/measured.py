"""What is counted about every request: its operation, how long it took, and how it failed."""

from typing import Final

from starlette.types import Scope

from telemetry.counters import count
from telemetry.requests import operations
from web.request_record import RequestRecord

OUR_FAULT: Final = frozenset(("INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "REQUEST_TIMEOUT"))
"""Codes that make a GraphQL answer an error of the service, whatever its status."""

PARTS: Final = frozenset(("graphql", "graphiql", "auth", "files", "healthz", "readyz"))


def measure(scope: Scope, record: RequestRecord, seconds: float) -> None:
    """Count one request that is over."""
    for code in record.error_codes:
        count("request_error_codes", code)
    if record.disconnected:
        count("request_disconnects")
    operations.add(_label(scope, record), seconds, failed(record))


def failed(record: RequestRecord) -> bool:
    """Whether a request that is over failed by our fault."""
    if not record.disconnected and (record.status is None or record.status >= 500):
        return True
    return not OUR_FAULT.isdisjoint(record.error_codes)


def _label(scope: Scope, record: RequestRecord) -> str:
    if record.operation_type:
        return operation_label(record.operation_type, record.operation_name)
    return f"http {part_of(scope) or 'other'}"


def part_of(scope: Scope) -> str:
    """Which part of the service was asked; "" for none: a path may be anything."""
    part = scope["path"].lstrip("/").partition("/")[0]
    return part if part in PARTS else ""


def operation_label(kind: str, name: str | None) -> str:
    """How an operation is called in statistics."""
    return f"{kind} {name or '(anonymous)'}"
