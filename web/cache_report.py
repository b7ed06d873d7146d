"""`extensions.cache`: what a query cost, what its answer rests on, and why it was or was not kept.

Of a mutation it says what that invalidates, also with dryRun.
Only administrators and auditors get it, with the request header `X-Rollcall-Cache: explain`; from others the header is
ignored. An answer with a report is itself never kept.
"""

import re
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import orjson

from resolvers.context import Context
from telemetry.recording import Recording
from web.answers import Answer
from web.response_cache import KeptAnswer

if TYPE_CHECKING:
    from starlette.datastructures import Headers

HEADER: Final = "x-rollcall-cache"
MOST_TAGS: Final = 200
_DATED: Final = re.compile(rb"\.(\d{9,})\.(\d{1,6})$")  # as cache/lua writes the time of Redis into a stamp


class Outcome(msgspec.Struct, frozen=True):
    """An answer, what is kept of it, and the words of Cache-Status about it."""

    answer: Answer
    kept: KeptAnswer | None
    status: str


def is_wanted(headers: "Headers") -> bool:
    """Whether the request asks for a report."""
    return headers.get(HEADER, "").strip().lower() == "explain"


def may_see(context: Context) -> bool:
    """Whether the viewer may have one."""
    return context.viewer is not None and (context.viewer.administers or context.viewer.audits)


def with_report(outcome: Outcome, context: Context, facts: Iterable[str], made: Recording) -> Answer:
    """The answer with the report, which no cache must keep; sent whole also where 304 would do."""
    report = orjson.dumps(report_on(outcome, context, facts, made))
    body = outcome.answer.body.removesuffix(b"}") + b',"extensions":{"cache":' + report + b"}}"
    headers = {**outcome.answer.headers, "Cache-Status": f"rollcall; {outcome.status}", "Cache-Control": "no-store"}
    return msgspec.structs.replace(outcome.answer, body=body, headers=headers)


def with_touched(answer: Answer, context: Context) -> Answer:
    """The answer to a mutation with the tags that it invalidated, or would have but for its dryRun."""
    body = orjson.loads(answer.body)
    report = {"tagCount": len(context.touched), "invalidates": sorted(context.touched)[:MOST_TAGS]}
    body["extensions"] = {**body.get("extensions", {}), "cache": report}
    return msgspec.structs.replace(answer, body=orjson.dumps(body))


def report_on(outcome: Outcome, context: Context, facts: Iterable[str], made: Recording) -> dict[str, Any]:
    """What there is to say of an answer that was just made, or found."""
    kept, dependencies = outcome.kept, context.loaders.dependencies
    stamps = kept.stamps if kept else dependencies.stamps
    until = kept.valid_until if kept else context.valid_until
    return {
        "response": outcome.status,
        "bytes": len(outcome.answer.body),
        "validUntil": until,
        "viewerFacts": sorted(facts),
        "redisReads": len(made.redis),
        "sql": made.sql,
        "loaders": _loaders(made),
        "restsOnStampsOnly": kept is not None or dependencies.storable,
        "tagCount": len(stamps),
        "tags": _tags(stamps),
    }


def _loaders(made: Recording) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for name, keys, hits in made.batches:
        empty = {"loader": name, "batches": 0, "keys": 0, "hits": 0, "misses": 0, "bypasses": {}}
        of_loader = found.setdefault(name, empty)
        for field, amount in (("batches", 1), ("keys", keys), ("hits", hits), ("misses", keys - hits)):
            of_loader[field] += amount
    for name, reason, keys in made.bypasses:
        reasons = found[name]["bypasses"]
        reasons[reason] = reasons.get(reason, 0) + keys
    return list(found.values())


def _tags(stamps: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Tags with the seconds since their last change by the clock of Redis; null where it is not known."""
    return [
        {"tag": tag, "stamp": stamps[tag].decode(), "ageSeconds": _age_s(stamps[tag])}
        for tag in sorted(stamps)[:MOST_TAGS]
    ]


def _age_s(stamp: bytes) -> float | None:
    dated = _DATED.search(stamp)
    return round(max(0.0, time.time() - int(dated[1]) - int(dated[2]) / 1e6), 3) if dated else None
