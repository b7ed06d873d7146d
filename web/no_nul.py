"""No text of a request holds the character NUL, which PostgreSQL cannot store: refused with the way to it.

In variables it is looked for only where the bytes of the request can hold one: JSON writes it as an escape.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from graphql import ArgumentNode, GraphQLError, ObjectFieldNode, StringValueNode
from graphql.validation import ASTValidationRule

from web.request_errors import RequestError

ESCAPED: Final = b"\\u0000"
NEEDED: Final = "needed a text without the character NUL (\\u0000)"


def refuse_nul(variables: Mapping[str, Any]) -> None:
    """Raise RequestError BAD_USER_INPUT for the first text with NUL."""
    for path, text in _texts(variables, ()):
        if "\0" in text:
            where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
            extensions = {"inputPath": [str(step) for step in path]}
            raise RequestError("BAD_USER_INPUT", f"{where}: {NEEDED}, got {_shown(text)}", extensions=extensions)


def _texts(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


class NoNulRule(ASTValidationRule):
    """Refuses text literals with NUL, naming the argument."""

    def enter_string_value(self, node: StringValueNode, *place: Any) -> None:
        """Check one text."""
        if "\0" in node.value:
            _, parent, _, ancestors = place
            steps = [of.name.value for of in (*ancestors, parent) if isinstance(of, ArgumentNode | ObjectFieldNode)]
            message = f"{'.'.join(steps)}: {NEEDED}, got {_shown(node.value)}"
            self.report_error(GraphQLError(message, node, extensions={"code": "BAD_USER_INPUT"}))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
