"""Tags as operators type them: which there can be, and what is wrong with one."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from db.tags import ALL_TAGS
from web.environment import SettingsError

FORMS: Final = {"month": r"\d{4}-\d\d", "work_date": r"\d{4}-\d\d-\d\d"}
NUMBER: Final = r"\d+"
SHOWN: Final = {"month": "2026-03", "work_date": "2026-03-17", "year": "2026"}


def check_tag(name: str, tag: str) -> None:
    """Refuse what is no tag; `name` is the argument that it came in."""
    table = tag.partition(".")[0]
    if table not in _tags():
        raise SettingsError(
            f"{name}: needed a tag like employee.id=42, or a table for all of its tags, got {tag!r};"
            f" tables: {', '.join(sorted(_tags()))}"
        )
    if tag != table and not any(re.fullmatch(_pattern(table, parts), tag) for parts in _tags()[table]):
        raise SettingsError(f"{name}: needed {_examples(table)}, got {tag!r}")


@cache
def _tags() -> dict[str, list[tuple[str, ...]]]:
    """The parts of every declared tag, under the table that it is named after."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for tag in ALL_TAGS:
        forms = found.setdefault(tag.subject, [])
        if tuple(tag.parts) not in forms:
            forms.append(tuple(tag.parts))
    return found


def _pattern(table: str, parts: Sequence[str]) -> str:
    return rf"{table}\." + ("&".join(f"{part}={FORMS.get(part, NUMBER)}" for part in parts) or "any")


def _examples(table: str) -> str:
    tags = ["&".join(f"{part}={SHOWN.get(part, '42')}" for part in parts) or "any" for parts in _tags()[table]]
    return ", ".join([table, *(f"{table}.{tag}" for tag in tags[:-1])]) + f" or {table}.{tags[-1]}"
