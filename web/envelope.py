"""The outermost layer of every HTTP request: its id, its access log line, security headers, the net under bugs."""

import time
from collections.abc import Iterable, Sequence

import msgspec
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry.ledger import Ledger, open_ledger
from telemetry.requests import current_request
from web.body import ClientGone, limited
from web.measured import measure
from web.request_headers import headers_of
from web.request_record import KEY, RequestRecord, new_record
from web.responses import internal_error_message, problem
from web.traced import request_begins, request_ends, shown

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
NAMES = frozenset(name for name, _ in SECURITY_HEADERS)
PROBES = ("/healthz", "/readyz")

log = structlog.get_logger("rollcall.access")


class Envelope:
    """Wraps the whole application; a response that brings a security header of its own keeps it."""

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._access = log.bind()  # once: it takes as long as writing the line

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope).first
        record = scope[KEY] = new_record(headers)
        current_request.set(record.request_id)
        ledger, span = open_ledger(), request_begins(scope, record)
        started = time.perf_counter()

        async def send_labelled(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], *_missing(message["headers"], record), *shown(span)]
            await send(message)

        try:
            await self._app(scope, limited(headers, receive, self._body_bytes), send_labelled)
        except ClientGone:
            record.disconnected = True
        except Exception as error:
            log.error("request failed", request_id=record.request_id, exc_info=error)
            if record.status is not None:
                raise
            detail = internal_error_message(record.request_id)
            await problem(500, "INTERNAL_SERVER_ERROR", detail)(scope, receive, send_labelled)
        finally:
            seconds = time.perf_counter() - started
            measure(scope, record, seconds if record.first_ms is None else record.first_ms / 1e3)
            if span is not None:
                request_ends(span, scope, record, ledger)
            self._log(scope, record, ledger, seconds)

    def _log(self, scope: Scope, record: RequestRecord, ledger: Ledger, seconds: float) -> None:
        """One line without personal data: no address, query string, token or variable."""
        facts = msgspec.to_builtins(record) | ledger.facts()
        write = self._access.debug if scope["path"] in PROBES else self._access.info
        write("request", method=scope["method"][:20], path=scope["path"][:100], ms=round(seconds * 1e3, 2), **facts)


def _missing(given: Iterable[tuple[bytes, bytes]], record: RequestRecord) -> Sequence[tuple[bytes, bytes]]:
    names = [name for name, _ in given]  # in lower case, as ASGI asks
    request_id = (b"x-request-id", record.request_id.encode("ascii"))
    if NAMES.isdisjoint(names):
        return (request_id, *SECURITY_HEADERS)
    return (request_id, *(line for line in SECURITY_HEADERS if line[0] not in names))
