"""The plans that auto_explain wrote to PostgreSQL's own log, where that can be read."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson

from web.environment import SettingsError
from web.settings import Settings

MOST_BYTES: Final = 16 * 2**20
_HEAD: Final = re.compile(r"duration: ([\d.]+) ms  plan:$")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?")
_MESSAGE: Final = 13
"""Which column of csvlog is the message: the same since PostgreSQL 9."""


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
    """The last plan of each statement by its queryid: of the end of the log, written with log_format = json.

    PostgreSQL names what its collector writes: `.csv` is csvlog, `.json` is jsonlog, all else what stderr got.
    """
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - MOST_BYTES, 0))
            text = file.read().decode(errors="replace")
    except OSError as error:
        raise SettingsError(f"--log: needed the log of PostgreSQL, got {str(log)!r}: {error.strerror}") from None
    found: dict[str, LoggedPlan] = {}
    for at, message in _ENTRIES.get(log.suffix, _of_stderr)(text):
        head, _, plan = message.partition("\n")
        if (took := _HEAD.search(head)) and (tree := _tree(plan)):
            found[str(tree["Query Identifier"])] = LoggedPlan(at, float(took[1]), tree)
    return found


def _of_stderr(text: str) -> Iterator[tuple[str, str]]:
    """(when, message) of each entry; each further line of an entry begins with a tab."""
    for entry in re.split(r"\n(?!\t)", text):
        yield _when(entry), entry.replace("\n\t", "\n")


def _of_csvlog(text: str) -> Iterator[tuple[str, str]]:
    """The first entry may be the rest of one: reading begins at a line with a time."""
    begin = re.search(rf"^{_TIME.pattern}", text, re.MULTILINE)
    for fields in csv.reader(io.StringIO(text[begin.start() :] if begin else "")):
        if len(fields) > _MESSAGE:
            yield _when(fields[0]), fields[_MESSAGE]


def _of_jsonlog(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        try:
            entry = orjson.loads(line)
            yield _when(entry["timestamp"]), entry["message"]
        except (ValueError, KeyError):  # half an entry, at the beginning or the end; one without a message
            continue


def _when(text: str) -> str:
    time = _TIME.match(text)
    return time[0] if time else ""


def _tree(plan: str) -> Mapping[str, Any] | None:
    """A plan in JSON that tells its queryid."""
    try:
        found = orjson.loads(plan)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "Plan" in found and "Query Identifier" in found else None


_ENTRIES: Final = {".csv": _of_csvlog, ".json": _of_jsonlog}
