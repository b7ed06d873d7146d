"""What stopped a request before or instead of its execution, as the answer to it; a bug is logged here, once."""

import structlog

from domain.errors import ClientError, Unavailable, UserProblem
from web.answers import Answer, masked, refusal, refusal_of
from web.execution import request_error_status
from web.request_errors import RequestError

log = structlog.get_logger("rollcall.graphql")


def refused(error: Exception, media_type: str, request_id: str) -> Answer:
    """The answer that says why there is none."""
    match error:
        case RequestError():
            return refusal_of(error, error.status, error.headers)
        case Unavailable():
            return refusal_of(error, 503)
        case ClientError(code="UNAUTHENTICATED"):  # from the context factory: a token that is no longer good
            return refusal_of(error, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        case ClientError() | UserProblem():
            return refusal_of(error, 403 if error.code == "FORBIDDEN" else request_error_status(media_type))
    log.error("request failed", request_id=request_id, exc_info=error)
    return refusal([masked(request_id)], 500)


def too_late(limit_s: float) -> RequestError:
    """The refusal of what took longer than it may."""
    message = f"the request took longer than {limit_s:g} s and was cancelled; ask for less at once"
    return RequestError("REQUEST_TIMEOUT", message, 504)
