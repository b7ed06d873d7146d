"""Every error that has a meaning to somebody, with a stable code; each has a page in docs/errors/.

RollcallError
├── ClientError            the request as a whole cannot be answered: top-level `errors`, `extensions.code`
│   ├── BadUserInput       BAD_USER_INPUT: an argument is wrong
│   │   └── InvalidId      ... it is not an id of the asked type
│   ├── Unauthenticated    UNAUTHENTICATED: nobody is signed in, or the token is no longer good
│   └── Forbidden          FORBIDDEN: signed in, but not allowed
├── UserProblem            what the person at the keyboard can put right: `userErrors` of a mutation
└── Unavailable            SERVICE_UNAVAILABLE: try again later (HTTP 503 with Retry-After)
"""

from collections.abc import Sequence
from enum import StrEnum


class RollcallError(Exception):
    """The root of the family: `message` is fit for whoever sent the request.

    A command or a start that it ends has `exit_code`: 1 something is wrong, 2 starting again does not help before
    somebody changes a setting, 3 a server cannot be reached and may come back.
    """

    code = "INTERNAL_SERVER_ERROR"
    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientError(RollcallError):
    """The request as a whole cannot be answered; shown in the top-level `errors` with `extensions.code`."""

    code = "BAD_REQUEST"


class BadUserInput(ClientError):
    """An argument is wrong: the message names it, says what was needed and shows what came.

    `path` leads to it for the `userErrors` of a mutation, e.g. ["input", "items", "3", "date"].
    """

    code = "BAD_USER_INPUT"

    def __init__(self, message: str, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = list(path)


class InvalidId(BadUserInput):
    """A global id that is broken, foreign or of another type."""

    def __init__(self, text: str, needed: str) -> None:
        shown = text if len(text) <= 80 else text[:77] + "..."
        super().__init__(f"needed {needed}, got {shown!r}")


class Unauthenticated(ClientError):
    """Nobody is signed in, or the token has expired or was revoked."""

    code = "UNAUTHENTICATED"


class Forbidden(ClientError):
    """Signed in, but no grant covers what was asked."""

    code = "FORBIDDEN"


class Unavailable(RollcallError):
    """The service cannot answer now; retrying after `retry_after_s` seconds is right."""

    code = "SERVICE_UNAVAILABLE"
    exit_code = 3

    def __init__(self, message: str, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ErrorCode(StrEnum):
    """The codes of `userErrors`."""

    INVALID = "INVALID"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    CONFLICT = "CONFLICT"
    PERIOD_LOCKED = "PERIOD_LOCKED"
    OVERLAP = "OVERLAP"
    ALREADY_CHECKED_IN = "ALREADY_CHECKED_IN"
    NOT_CHECKED_IN = "NOT_CHECKED_IN"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    OUTSIDE_GEOFENCE = "OUTSIDE_GEOFENCE"
    FUTURE_TIME = "FUTURE_TIME"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    TOO_MANY = "TOO_MANY"
    STALE_REQUEST = "STALE_REQUEST"


class UserProblem(RollcallError):
    """One entry of `userErrors`: `path` leads to the wrong input, e.g. ["input", "items", "3", "out"].

    `constraint`, `needed_role`, `current` with `current_version`, and `overlaps` fill the fields of InvalidInput,
    Forbidden, Conflict and Overlap; `current` and `overlaps` are rows.
    """

    code = "BAD_USER_INPUT"  # where no mutation made an entry of it

    def __init__(
        self,
        error_code: ErrorCode,
        message: str,
        path: Sequence[str] = (),
        *,
        constraint: str | None = None,
        needed_role: str | None = None,
        current: object = None,
        current_version: int | None = None,
        overlaps: object = None,
    ) -> None:
        super().__init__(message)
        self.error_code = error_code
        self.path = list(path)
        self.constraint = constraint
        self.needed_role = needed_role
        self.current = current
        self.current_version = current_version
        self.overlaps = overlaps
