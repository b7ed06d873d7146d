"""No resolver learns anything that a kept answer is not known to rest on: of the viewer, the time, or any row.

What an answer rests on is written down by `Context`: facts by its stand-in for the viewer, the time by its clock, rows
by its loaders. So nothing else under resolvers/ and schema/ may reach behind it.
"""

import ast
from collections.abc import Iterator
from typing import Final

import pytest

from db.embedded.lease import CHECKOUT

BEHIND: Final = {
    "viewer": "the viewer comes from context.require_viewer(), which notes what is looked at",
    "watched": "the viewer comes from context.require_viewer(), which notes what is looked at",
    "database": "rows come from context.load, or from context.unit_of_work() in a mutation",
    "cache": "rows come from context.load, or from context.unit_of_work() in a mutation",
    "loaders": "rows come from context.load, which notes their stamps",
}
TIME: Final = "the time comes from the context, which notes until when an answer is right"
CLOCKS: Final = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}
OF_PYTHON: Final = {"datetime", "date", "time"}
FORBIDDEN: Final = {
    "time": TIME,
    "telemetry.clock": TIME,
    "contextvars": "what is not handed over is not noted",
    "db.database": BEHIND["database"],
    "cache": BEHIND["cache"],
}
WATCHES: Final = {"resolvers/context.py", "resolvers/consulted.py"}
SUBJECTS: Final = {"context", "info", "viewer", "self"}


def ways_past(source: str) -> Iterator[str]:
    """What in a module reaches behind the context, a line each."""
    for node in ast.walk(ast.parse(source)):
        for reason in _reasons(node):
            yield f"line {getattr(node, 'lineno', 0)}: {ast.unparse(node)[:60]}: {reason}"


def _reasons(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(attr=name) if name in BEHIND:
            yield BEHIND[name]
        case ast.Attribute(attr=name, value=ast.Name(id="context" | "viewer" | "info")) if name.startswith("_"):
            yield "it is the context's own"
        case ast.Attribute(attr=name, value=ast.Name(id=of)) if name in CLOCKS and of in OF_PYTHON:
            yield TIME
        case ast.Call(func=ast.Name(id="getattr" | "vars" | "attrgetter"), args=[subject, *_]):
            if any(isinstance(part, ast.Name) and part.id in SUBJECTS for part in ast.walk(subject)):
                yield "what is asked for by a name that is worked out cannot be checked here"
        case ast.ImportFrom(module=str(module)) if module in FORBIDDEN or module.startswith("cache."):
            if module != "cache.policy":  # hashes of shapes
                yield FORBIDDEN.get(module, BEHIND["cache"])
        case ast.Import(names=names):
            yield from (FORBIDDEN[name.name] for name in names if name.name in FORBIDDEN)


def test_no_resolver_reaches_behind_the_context() -> None:
    found, modules = [], 0
    for package in ("resolvers", "schema"):
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            name = path.relative_to(CHECKOUT).as_posix()
            if name not in WATCHES:
                modules += 1
                found += [f"{name}, {way}" for way in ways_past(path.read_text())]
    assert found == [], "\n".join(found)
    assert modules > 50


@pytest.mark.parametrize(
    "planted",
    [
        "if info.context.viewer.administers: pass",
        "def resolve(context): return context.watched._viewer",
        "getattr(info.context, 'viewer')",
        "vars(context)",
        "context._clock()",
        "async def rows(context):\n async with context.database.read() as connection: pass",
        "context.cache.read(policy, [1])",
        "context.loaders.inside(None)",
        "from telemetry.clock import utc_now",
        "import time",
        "from datetime import datetime\ndatetime.now()",
        "from datetime import date\ndate.today()",
        "from contextvars import ContextVar",
        "from db.database import Database",
        "from cache.second_level import SecondLevelCache",
    ],
)
def test_each_way_behind_it_is_found(planted: str) -> None:
    assert len(list(ways_past(planted))) >= 1


def test_what_resolvers_do_is_none_of_them() -> None:
    allowed = "viewer = info.context.require_viewer()\nviewer.identified.covers(row)\ncontext.now()\ngetattr(row, name)"
    assert list(ways_past(allowed)) == []
