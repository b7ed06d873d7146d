"""How errors and data become the bytes of an answer: codes, masking, status.

Messages of domain.errors reach the client; of anything else the client learns only the request id to quote, and the log
gets the traceback, once per exception.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import orjson
import structlog
from graphql import GraphQLError

from domain.errors import ClientError, RollcallError, Unavailable, UserProblem
from web.negotiation import GRAPHQL_RESPONSE
from web.responses import Line, internal_error_message

FormattedError = dict[str, Any]

INTERNAL = "INTERNAL_SERVER_ERROR"
STATUS_BY_CODE = {"UNAUTHENTICATED": 401, "FORBIDDEN": 403, "SERVICE_UNAVAILABLE": 503, "REQUEST_TIMEOUT": 504}
LONGEST_MESSAGE = 2_000

log = structlog.get_logger("rollcall.graphql")


class Answer(msgspec.Struct, frozen=True):
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str] = {}
    error_codes: tuple[str, ...] = ()
    lines: tuple[Line, ...] | None = None
    """All headers as they are sent, where that is known before; then `headers` does not count."""


def formatted(error: GraphQLError, code: str, message: str | None = None, **extensions: object) -> FormattedError:
    """A GraphQL error as the specification's response format shows it."""
    entry: FormattedError = {"message": shortened(error.message if message is None else message)}
    if error.locations:
        entry["locations"] = [{"line": place.line, "column": place.column} for place in error.locations[:20]]
    if error.path is not None:
        entry["path"] = error.path
    entry["extensions"] = {**extensions, "code": code}
    return entry


def shortened(message: str) -> str:
    """A message never carries a whole document back."""
    return message if len(message) <= LONGEST_MESSAGE else message[: LONGEST_MESSAGE - 3] + "..."


def masked(request_id: str) -> FormattedError:
    """A bug, as the client sees it."""
    return {"message": internal_error_message(request_id), "extensions": {"requestId": request_id, "code": INTERNAL}}


def refusal(errors: Iterable[FormattedError], status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer without data."""
    entries = list(errors)
    codes = tuple(dict.fromkeys(str(entry["extensions"]["code"]) for entry in entries))
    return Answer(status, orjson.dumps({"errors": entries}), dict(headers or {}), codes)


def refusal_of(error: RollcallError, status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that consists of one of our own errors."""
    entry = {"message": shortened(error.message), "extensions": {**extensions_of(error), "code": error.code}}
    return refusal([entry], status, {**retry_header(error), **(headers or {})})


def extensions_of(error: RollcallError) -> dict[str, object]:
    """What stands beside the code of one of our own errors."""
    match error:
        case UserProblem():
            return {"problem": error.error_code.value, "inputPath": error.path}
        case Unavailable():
            return {"retryAfter": error.retry_after_s}
    return dict(getattr(error, "extensions", {}))


def retry_header(error: BaseException | None) -> dict[str, str]:
    """Retry-After of an error that passes by itself."""
    return {"Retry-After": str(error.retry_after_s)} if isinstance(error, Unavailable) else {}


def executed(data: object, errors: list[GraphQLError] | None, media_type: str, request_id: str) -> Answer:
    """The answer to an operation that was executed, whole, in part or not at all."""
    if not errors:
        return _encoded({"data": data}, (), request_id)
    causes = [cause_of(error) for error in errors]
    _log_bugs(errors, causes, request_id)
    entries = [_entry(error, cause, request_id) for error, cause in zip(errors, causes, strict=True)]
    codes = tuple(dict.fromkeys(entry["extensions"]["code"] for entry in entries))
    if data is None and len(codes) == 1 and codes[0] in STATUS_BY_CODE:
        status = STATUS_BY_CODE[codes[0]]
        if status >= 500 or media_type == GRAPHQL_RESPONSE:
            headers = _strongest_retry(causes) | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
            return refusal(entries, status, headers)
    return _encoded({"errors": entries, "data": data}, codes, request_id)


def cause_of(error: GraphQLError) -> BaseException:
    """What a resolver raised: GraphQL errors wrap it, sometimes twice."""
    cause: BaseException = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _strongest_retry(causes: Iterable[BaseException]) -> dict[str, str]:
    waits = [cause.retry_after_s for cause in causes if isinstance(cause, Unavailable)]
    return {"Retry-After": str(max(waits))} if waits else {}


def _entry(error: GraphQLError, cause: BaseException, request_id: str) -> FormattedError:
    if isinstance(cause, ClientError | UserProblem | Unavailable):
        return formatted(error, cause.code, cause.message, **extensions_of(cause))
    if isinstance(cause, GraphQLError) and not is_bug(cause):
        given = dict(cause.extensions or {})
        return formatted(error, str(given.pop("code", "BAD_USER_INPUT")), cause.message, **given)
    return formatted(error, INTERNAL, internal_error_message(request_id), requestId=request_id)


def is_bug(cause: BaseException) -> bool:
    """Whether nobody but us can put it right.

    graphql-core complains with the same class about a client's argument and about a value of ours that does not fit its
    type; only the former points into the document by itself.
    """
    if isinstance(cause, GraphQLError):
        return not cause.nodes and "code" not in (cause.extensions or {})
    return not isinstance(cause, ClientError | UserProblem | Unavailable)


def _log_bugs(errors: Iterable[GraphQLError], causes: Iterable[BaseException], request_id: str) -> None:
    logged: set[int] = set()
    for error, cause in zip(errors, causes, strict=True):
        if not is_bug(cause) or id(cause) in logged:
            continue
        logged.add(id(cause))
        path = ".".join(str(step) for step in error.path or ())
        log.error("resolver failed", request_id=request_id, path=path, exc_info=cause)


def _encoded(answer: Mapping[str, object], codes: tuple[str, ...], request_id: str) -> Answer:
    with suppress(orjson.JSONEncodeError):
        return Answer(200, orjson.dumps(answer), {}, codes)
    try:  # the standard library knows numbers beyond 64 bits, which a JSON scalar may hold
        return Answer(200, json.dumps(answer, allow_nan=False).encode(), {}, codes)
    except (TypeError, ValueError, RecursionError) as error:
        log.error("answer could not be encoded", request_id=request_id, exc_info=error)
        return Answer(200, orjson.dumps({"errors": [masked(request_id)], "data": None}), {}, (INTERNAL,))
