"""`make migration` and `make entity`: write the files that every migration and every entity has, ready to be filled in.

Nothing that exists is overwritten.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from domain.errors import RollcallError

ROOT: Final = Path(__file__).parents[1]
TEMPLATES: Final = Path(__file__).parent / "templates"
VERSIONS: Final = "db/migrations/versions"


class ScaffoldError(RollcallError):
    """What was asked for cannot be written."""


def migration(name: str, root: Path = ROOT) -> list[Path]:
    """Write the next migration; returns its two files."""
    _check(name, "migration", "add_something")
    numbers = sorted(int(path.name[:4]) for path in (root / VERSIONS).glob("[0-9]*.py"))
    last = numbers[-1] if numbers else 0
    values = {"number": f"{last + 1:04}", "previous": f"{last:04}", "title": name.replace("_", " ")}
    stem = f"{VERSIONS}/{values['number']}_{name}"
    return _write(root, {f"{stem}.py": "migration.py.txt", f"{stem}.sql": "migration.sql.txt"}, values)


def entity(name: str, root: Path = ROOT) -> list[Path]:
    """Write the file of an entity in each layer; returns them."""
    _check(name, "entity", "holiday")
    plural = name + "s"
    words = name.split("_")
    values = {"name": name, "plural": plural, "words": " ".join(words), "Name": "".join(map(str.title, words))}
    values["NAME"] = name.upper()
    layers = ("db", "loaders", "resolvers", "schema")
    files = {f"{layer}/{plural}.py": f"entity_{layer}.py.txt" for layer in layers}
    return _write(root, files | {f"tests/queries/test_{plural}.py": "entity_tests.py.txt"}, values)


def _check(name: str, what: str, example: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ScaffoldError(f"name: needed a snake_case name, got {name!r}: make {what} name={example}")


def _write(root: Path, template_by_path: Mapping[str, str], values: Mapping[str, str]) -> list[Path]:
    taken = [path for path in template_by_path if (root / path).exists()]
    if taken:
        raise ScaffoldError(f"{', '.join(taken)} exists already: nothing was written")
    for path, template in template_by_path.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(Template((TEMPLATES / template).read_text()).substitute(values))
    return [root / path for path in template_by_path]


NEXT_STEPS: Final = """What is left to do for {name}:
  a table and its triggers' tags   make migration name=add_{name}; db/tables.py; db/tags.py
  its row                          {Name}Row in db/rows.py
  its id                           domain/ids.py, if the API identifies it
  its fields                       schema/{name}s.py, one line in schema/query.py, then make schema
"""


def main(what: str, name: str) -> int:
    """Returns the exit code."""
    try:
        written = {"migration": migration, "entity": entity}[what](name)
    except ScaffoldError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    for path in written:
        sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    if what == "entity":
        sys.stdout.write(NEXT_STEPS.format(name=name, Name="".join(map(str.title, name.split("_")))))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
