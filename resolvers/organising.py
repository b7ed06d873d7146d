"""What the mutations of the organisation share: who may, which row is meant, and which value a field keeps."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from strawberry import UNSET

from db.connection import WriteConnection
from domain.enums import Role
from domain.errors import UserProblem
from loaders.batch import Batch
from loaders.departments import ALL
from resolvers.arguments import given, id_of
from resolvers.changes import Explanation, check_version, forbidden, invalid, not_found, taken, text_of
from resolvers.context import Context

R = TypeVar("R")
LONGEST_CODE = 50


class Coded(Protocol):
    """A row with a code that is its own."""

    @property
    def code(self) -> str:
        """The code."""


class Saved(msgspec.Struct, frozen=True):
    """The key of what was saved."""

    id: int


def require_organiser(context: Context) -> None:
    """Refuse whoever may not change departments, locations and shifts."""
    if not context.require_viewer().organises:
        raise forbidden("", "needed the role HR for everyone, or ADMIN", Role.HR)


async def standing(
    connection: WriteConnection,
    input: Any,
    type_name: str,
    for_update: Callable[[WriteConnection, int], Awaitable[R | None]],
) -> R | None:
    """The row that an input changes, locked and in the version that it expects; None when it makes a new one."""
    text = given(input.id)
    if text is None:
        if given(input.expected_version) is not None:
            raise invalid("input.expectedVersion", "needed an id beside it; what is new has no version yet")
        return None
    row = await for_update(connection, id_of(text, type_name, "input.id", int))
    if row is None:
        raise not_found("input.id", type_name.lower())
    check_version("input.expectedVersion", input.expected_version, row)
    return row


def kept_text(value: str | None, where: str, standing_text: str, most: int = 200) -> str:
    """The text that an input gives, else the one that stands; what is new has none and needs one."""
    return standing_text if value is UNSET and standing_text else text_of(value, where, most)


def code_taken(context: Context, code: str | None, what: str, everything: Batch[str, Sequence[Coded]]) -> Explanation:
    """The problem of a code that another one of `everything` has already."""
    text = (given(code) or "").strip()

    async def explained() -> UserProblem:
        rows = await context.must(everything, ALL)
        current = next((row for row in rows if row.code.lower() == text.lower()), None)
        message = f"another {what} has the code {text!r} already, in whatever case; choose another"
        return taken("input.code", message, current)

    return explained
