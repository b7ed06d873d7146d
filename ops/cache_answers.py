"""Whole answers among the entries in Redis: what they are, and what they rest on."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from cache.entries import Entry
from web import answer_entries, known_paths
from web.answer_entries import SharedAnswer, shared_answer, unpacked

ANSWERS: Final = "whole answers"
HINTS: Final = "hints"


def kind_of(name: str) -> str | None:
    """What an entry is that is no lookup's."""
    if name.startswith(answer_entries.prefix()):
        return ANSWERS
    return HINTS if name.startswith(f"{known_paths.NAMESPACE}@") else None


def answer_of(entry: Entry) -> SharedAnswer:
    """The answer of an entry; raises ValueError when it is none."""
    return shared_answer(entry.value)


def tags_of(name: str, entry: Entry) -> Sequence[str]:
    """What an answer rests on; nothing for any other entry."""
    return answer_of(entry).tags if kind_of(name) == ANSWERS else ()


def shown_answer(entry: Entry) -> dict[str, Any]:
    """What an entry of an answer says, for people."""
    found = answer_of(entry)
    _, facts, values = msgspec.msgpack.decode(entry.key)
    return {
        "kind": "whole answer",
        "query": found.request.query,
        "operationName": found.request.operation_name,
        "variables": found.request.variables,
        "viewerFacts": dict(zip(facts, values, strict=True)),
        "made": found.since.isoformat(),
        "validUntil": found.valid_until.isoformat() if found.valid_until else None,
        "etag": found.etag,
        "value": orjson.loads(unpacked(found)),
    }


def shown_hint(stored: bytes) -> list[list[str]] | str:
    """The facts about a viewer under which answers to a query are looked for, by execution, for people."""
    try:
        return msgspec.msgpack.decode(stored, type=list[list[str]])
    except ValueError:
        return "it does not decode: it counts as none"
