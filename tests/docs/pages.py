"""The Markdown of the repository, and what stands in it."""

import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    .+$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages() -> list[Path]:
    """Everything that people read: the top level and docs/."""
    return sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])


def relative_links(page: Path) -> Iterator[str]:
    """Links to other files of the repository, without their anchors."""
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        path = str(target).partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            yield path


def code(page: Path) -> Iterator[str]:
    """The lines of code blocks and the code spans."""
    text = page.read_text()
    blocks = [*FENCED.findall(text), *INDENTED.findall(text)]
    yield from (line for block in blocks for line in block.splitlines())
    yield from SPAN.findall(FENCED.sub("", text))


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The words after `program` wherever code begins with it, a prompt or variables before it aside."""
    begins = re.compile(rf"^\s*(?:\$ )?(?:[A-Z_]+=\S* )*{program}\s+(.+)$")
    for line in code(page):
        if found := begins.match(line):
            yield found[1].split()
