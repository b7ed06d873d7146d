"""The comment that tells a statement's name wherever PostgreSQL shows it, in the form of sqlcommenter."""

import re
from typing import Final
from urllib.parse import quote, unquote

_COMMENT: Final = re.compile(r"\s*/\*application='rollcall',statement='([^']*)'\*/\s*$")


def commented(sql: str, name: str) -> str:
    """A statement with its name."""
    return f"{sql} /*application='rollcall',statement='{quote(name, safe='')}'*/"


def named(sql: str) -> tuple[str | None, str]:
    """(The name, None for a statement that is not ours; the statement without it)."""
    found = _COMMENT.search(sql)
    return (unquote(found[1]), sql[: found.start()]) if found else (None, sql)
