"""What the layers of one request tell each other: the envelope makes it, the endpoint fills it in, the log shows it."""

import re
import secrets
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import msgspec

SANE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{8,128}")
KEY = "rollcall.request"


class RequestRecord(msgspec.Struct, omit_defaults=True):
    """One request; no personal data, since every field that was filled in is logged."""

    request_id: str
    status: int | None = None
    operation_name: str | None = None
    operation_type: str | None = None
    cost: int | None = None
    error_codes: tuple[str, ...] = ()
    disconnected: bool = False
    trace_id: str | None = None
    first_ms: float | None = None
    """When the first event of a stream was there: how long it is followed is no measure of how it was answered."""


def new_record(headers: Mapping[bytes, bytes]) -> RequestRecord:
    """A record under the client's X-Request-Id when that is sane, else under a new one."""
    given = headers.get(b"x-request-id")
    if given is not None and SANE_REQUEST_ID.fullmatch(given):
        return RequestRecord(given.decode("ascii"))
    return RequestRecord(secrets.token_hex(8))


def record_of(scope: MutableMapping[str, Any]) -> RequestRecord:
    """The record that the envelope laid into an ASGI scope."""
    return cast("RequestRecord", scope[KEY])
