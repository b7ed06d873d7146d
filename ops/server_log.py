"""The plans that auto_explain wrote to PostgreSQL's own log, where that can be read."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from web.environment import SettingsError
from web.settings import Settings

MOST_BYTES: Final = 16 * 2**20
_HEAD: Final = re.compile(r"^(\S+ \S+)(?: \w+)? .*duration: ([\d.]+) ms  plan:$")


class LoggedPlan(msgspec.Struct, frozen=True):
    """One plan, when it was made and how long its statement took."""

    at: str
    ms: float
    tree: Mapping[str, Any]


def log_of(settings: Settings) -> Path | None:
    """The log of the private PostgreSQL, if that is the one in use."""
    folder = settings.server.data_dir
    try:
        described = orjson.loads((folder / "embedded.json").read_bytes())
    except (OSError, ValueError):
        return None
    log = folder / "postgres.log"
    return log if described.get("database_url") == settings.database.primary_url and log.exists() else None


def logged_plans(log: Path) -> dict[str, LoggedPlan]:
    """The last plan of each statement by its queryid: of the end of the log, written with log_format = json."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - MOST_BYTES, 0))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        raise SettingsError(f"--log: needed the log of PostgreSQL, got {str(log)!r}: {error.strerror}") from None
    found: dict[str, LoggedPlan] = {}
    for number, line in enumerate(lines):
        if head := _HEAD.match(line):
            tree = _tree(lines, number + 1)
            if tree and "Query Identifier" in tree:
                found[str(tree["Query Identifier"])] = LoggedPlan(head[1], float(head[2]), tree)
    return found


def _tree(lines: list[str], start: int) -> Mapping[str, Any] | None:
    """The JSON that follows: PostgreSQL begins each further line of an entry with a tab."""
    end = start
    while end < len(lines) and lines[end].startswith("\t"):
        end += 1
    try:
        found = orjson.loads("\n".join(line[1:] for line in lines[start:end]))
    except ValueError:
        return None
    return found if isinstance(found, dict) and "Plan" in found else None
