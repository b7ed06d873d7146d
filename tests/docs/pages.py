"""The Markdown of the repository, and what stands in it."""

import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    .+$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
VARIABLES = r"((?:[A-Z_]+=(?:\"[^\"]*\"|\S*) )*)"
COMMAND = re.compile(rf"^\s*(?:\$ )?{VARIABLES}(?:make|python -m|rollcall|pytest|\.ci/run)\b")
UNIT = "(?:us|ms|s|min|kB|MB|MiB|GB|TB|req/s)"
MEASURED = re.compile(rf"\| *\d[\d,.]* {UNIT}(?![\w-])|\| (?:[^|]* )?{UNIT} (?=\|.*\n\|[ :-]*-)")


def pages() -> list[Path]:
    """Everything that people read: the top level and docs/."""
    return sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])


def relative_links(page: Path) -> Iterator[str]:
    """Links to other files of the repository, without their anchors."""
    for target in LINK.findall(FENCED.sub("", page.read_text())):
        path = str(target).partition("#")[0]
        if path and not re.match(r"[a-z]+:", path):
            yield path


def code(text: str) -> Iterator[str]:
    """The lines of code blocks and the code spans."""
    blocks = [*FENCED.findall(text), *INDENTED.findall(text)]
    yield from (line for block in blocks for line in block.splitlines())
    yield from SPAN.findall(FENCED.sub("", text))


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """The words after `program` wherever code begins with it, a prompt or variables before it aside."""
    begins = re.compile(rf"^\s*(?:\$ )?{VARIABLES}{program}\s+(.+)$")
    for line in code(page.read_text()):
        if found := begins.match(line):
            yield found[2].split()


def variables(page: Path) -> Iterator[str]:
    """The names of variables that commands are given."""
    for line in code(page.read_text()):
        if found := COMMAND.match(line):
            yield from re.findall(r"([A-Z_]+)=", found[1])


def unexplained(page: Path) -> list[str]:
    """Headings of sections that have a table of measured figures and no command."""
    sections = re.split(r"^(?=#+ )", page.read_text(), flags=re.MULTILINE)
    return [
        section.partition("\n")[0]
        for section in sections
        if MEASURED.search(section) and not any(COMMAND.match(line) for line in code(section))
    ]
