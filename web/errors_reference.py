"""docs/reference/errors.md from the codes that stand in the code and the pages that explain them.

python -m web.errors_reference > docs/reference/errors.md
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from domain.errors import ErrorCode

CHECKOUT: Final = Path(__file__).parents[1]
PAGES: Final = CHECKOUT / "docs" / "errors"
PACKAGES: Final = ("domain", "db", "cache", "loaders", "resolvers", "schema", "web")
MAKERS: Final = ("RequestError", "problem", "formatted")
"""Calls that take a code as a text."""
NOT_SENT: Final = frozenset({"SETTINGS"})
"""Codes of errors that stop the start; no client sees them."""

OPENING: Final = """# Errors

Every code that a client can get. What the request as a whole runs into stands in the top-level `errors` with
`extensions.code`; what the person at the keyboard can put right stands in the `userErrors` of a mutation; what is
not GraphQL is answered as a problem (RFC 9457) with `code`. `POST /auth/token` answers in the words of RFC 6749:
[sign-in](../explain/sign-in.md). Messages may change, codes stay.

| Code | Means | Seen in | What to do |
|---|---|---|---|"""

_CODE: Final = re.compile(r"[A-Z]+(_[A-Z]+)*")
_BESIDE: Final = re.compile(r"\]\((?=\w+\.md)")


def codes() -> set[str]:
    """Every code that the service can send."""
    found = {code.value for code in ErrorCode}
    for package in PACKAGES:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                found.update(text for text in _texts(node) if _CODE.fullmatch(text))
    return found - NOT_SENT


def errors_reference() -> str:
    """The whole page, in Markdown."""
    return "\n".join([OPENING, *(_row(code) for code in sorted(codes()))]) + "\n"


def _texts(node: ast.AST) -> Iterator[str]:
    """The texts that stand where a code does: `code = "X"` of a class, RequestError("X"), {"code": "X"}."""
    match node:
        case ast.ClassDef():
            for line in node.body:
                match line:
                    case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(text))):
                        yield text
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in MAKERS:
            yield from (text for given in arguments if (text := _text(given)))
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                match key, value:
                    case ast.Constant(value="code"), ast.Constant(value=str(text)):
                        yield text


def _text(given: ast.expr) -> str:
    return given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""


def _row(code: str) -> str:
    _, means, seen, *rest = (PAGES / f"{code}.md").read_text().split("\n\n")
    todo = rest[rest.index("## What to do") + 1]
    cells = (means, seen.removeprefix("Seen in: "), todo)
    shown = (_BESIDE.sub("](../errors/", " ".join(cell.split())).replace("|", "\\|") for cell in cells)
    return f"| [{code}](../errors/{code}.md) | {' | '.join(shown)} |"


if __name__ == "__main__":
    sys.stdout.write(errors_reference())
