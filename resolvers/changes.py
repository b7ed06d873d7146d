"""How mutations change things: one unit of work, and problems into `userErrors`."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import msgspec

from db.connection import WriteConnection
from db.errors import ConstraintBroken
from domain.errors import BadUserInput, ErrorCode, UserProblem
from resolvers.arguments import given, path_of
from resolvers.context import Context

Outcome = TypeVar("Outcome", bound=msgspec.Struct)
Explanation: TypeAlias = Callable[[], Awaitable[UserProblem]]


class UserErrorValue(msgspec.Struct, frozen=True):
    """An entry of `userErrors`: a UserProblem as a value, since GraphQL takes exceptions for failures."""

    error_code: ErrorCode
    message: str
    path: list[str]
    constraint: str | None = None
    needed_role: str | None = None
    current: Any = None
    current_version: int | None = None
    overlaps: Any = None


def user_error(problem: UserProblem) -> UserErrorValue:
    """A problem as an entry of `userErrors`."""
    return UserErrorValue(*(getattr(problem, name) for name in UserErrorValue.__struct_fields__))


class Problems(Exception):
    """Several problems at once: nothing is written."""

    def __init__(self, problems: list[UserProblem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


async def changed(
    context: Context,
    work: Callable[[WriteConnection], Awaitable[Outcome]],
    problem_by_constraint: Mapping[str, Explanation] = {},
    *,
    dry_run: bool = False,
) -> tuple[Outcome | None, list[UserErrorValue]]:
    """Run `work` in one transaction; returns (its outcome, no problems) or (None, what was wrong) with nothing written.

    A dry run gives the outcome and writes nothing. `problem_by_constraint` says what a broken constraint of the
    database means to a person; it is asked once everything is undone.
    """
    context.require_viewer()
    try:
        async with context.unit_of_work() as unit:
            outcome = await work(unit.connection)
            if dry_run:
                unit.undo()
        context.touched.update(unit.tags)
        return outcome, []
    except Problems as several:
        return None, [user_error(problem) for problem in several.problems]
    except UserProblem as one:
        return None, [user_error(one)]
    except BadUserInput as error:
        return None, [UserErrorValue(ErrorCode.INVALID, error.message, error.path)]
    except ConstraintBroken as error:
        if error.constraint not in problem_by_constraint:
            raise
        return None, [user_error(await problem_by_constraint[error.constraint]())]


def problem(code: ErrorCode, where: str, message: str, **more: Any) -> UserProblem:
    """A problem with the input at `where`, e.g. "input.items[3].date"."""
    return UserProblem(code, f"{where}: {message}" if where else message, path_of(where), **more)


def invalid(where: str, message: str, constraint: str | None = None) -> UserProblem:
    """A value that cannot be accepted."""
    return problem(ErrorCode.INVALID, where, message, constraint=constraint)


def not_found(where: str, what: str) -> UserProblem:
    """Something that does not exist, or that the viewer may not know of."""
    return problem(ErrorCode.NOT_FOUND, where, f"there is no such {what}")


def forbidden(where: str, message: str, needed_role: str | None = None) -> UserProblem:
    """Something that no grant of the viewer covers."""
    return problem(ErrorCode.FORBIDDEN, where, message, needed_role=needed_role)


def taken(where: str, message: str, current: Any) -> UserProblem:
    """Something that `current` has and nobody else can have; None where the viewer may not know whose it is."""
    version = None if current is None else current.version
    return problem(ErrorCode.CONFLICT, where, message, current=current, current_version=version)


def check_version(where: str, expected: int | None, current: Any) -> None:
    """Refuse a change of what somebody else changed meanwhile."""
    expected = given(expected)
    if expected is not None and expected != current.version:
        raise problem(
            ErrorCode.CONFLICT,
            where,
            f"somebody changed it meanwhile: expected version {expected}, it is {current.version}; read it again",
            current=current,
            current_version=current.version,
        )


def text_of(value: str | None, where: str, most: int = 200) -> str:
    """A text that is not blank, without the blanks around it."""
    found = (given(value) or "").strip()
    if not found:
        raise invalid(where, "needed a text, got none")
    if len(found) > most:
        raise invalid(where, f"needed at most {most} characters, got {len(found)}")
    if any(ord(character) < 32 for character in found):
        raise invalid(where, "needed a text without control characters")
    return found


def shown(at: datetime) -> str:
    """An instant as the API writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
