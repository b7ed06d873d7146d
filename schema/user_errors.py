"""What the person at the keyboard can put right, as the API shows it."""

from typing import Any

import strawberry

from domain.enums import Role
from domain.errors import ErrorCode
from resolvers.changes import UserErrorValue
from schema.node import Node


def _problems(*codes: ErrorCode | None) -> Any:
    """`is_type_of` of the error type for these codes."""

    def is_type_of(_: type, value: object, __: object) -> bool:
        return isinstance(value, UserErrorValue) and _code(value) in codes

    return classmethod(is_type_of)


def _code(problem: UserErrorValue) -> ErrorCode | None:
    """The code that decides the type; an overlap with nothing that the API can show is a plain error."""
    if problem.error_code is ErrorCode.OVERLAP and problem.overlaps is None:
        return None
    return problem.error_code


INVALID = (ErrorCode.INVALID, ErrorCode.NOT_FOUND, ErrorCode.FUTURE_TIME)
SPECIAL = (*INVALID, ErrorCode.FORBIDDEN, ErrorCode.CONFLICT, ErrorCode.OVERLAP)
OTHERS = (*(code for code in ErrorCode if code not in SPECIAL), None)


@strawberry.interface(
    description="What the person at the keyboard can put right. Everything else (not signed in, cost limit, bug) is in "
    "the top-level errors with extensions.code."
)
class UserError:
    error_code: ErrorCode = strawberry.field(name="code", description="What is wrong, for programs.")
    message: str = strawberry.field(description="What is wrong and what to do, for people.")
    path: list[str] = strawberry.field(description='The way to the input, e.g. ["input", "items", "3", "out"].')


@strawberry.type(description="A value that cannot be accepted.")
class InvalidInput(UserError):
    is_type_of = _problems(*INVALID)
    constraint: str | None = strawberry.field(description="The rule that it breaks, where it has a name.")


@strawberry.type(description="Something that no grant of the viewer covers.")
class Forbidden(UserError):
    is_type_of = _problems(ErrorCode.FORBIDDEN)
    needed_role: Role | None = strawberry.field(description="The role that would do.")


@strawberry.type(description="Somebody changed it meanwhile, or it is still in use.")
class Conflict(UserError):
    is_type_of = _problems(ErrorCode.CONFLICT)
    current: Node | None = strawberry.field(description="What it is now.")
    current_version: int | None = strawberry.field(description="The version to expect.")


@strawberry.type(description="It overlaps with another.")
class Overlap(UserError):
    is_type_of = _problems(ErrorCode.OVERLAP)
    overlaps: Node = strawberry.field(name="with", description="The other.")


@strawberry.type(description="Any other problem; the code says which.")
class GenericUserError(UserError):
    is_type_of = _problems(*OTHERS)


USER_ERRORS = (InvalidInput, Forbidden, Conflict, Overlap, GenericUserError)
