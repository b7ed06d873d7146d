"""Which media type an answer gets: the Accept header against the two types of GraphQL over HTTP."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"


class MediaRange(NamedTuple):
    """One part of an Accept header: `quality` 0 refuses it."""

    media_type: str
    quality: float

    @property
    def specificity(self) -> int:
        """2 for a full type, 1 for `application/*`, 0 for `*/*`."""
        return 2 if "*" not in self.media_type else int(self.media_type != "*/*")

    def covers(self, media_type: str) -> bool:
        """Whether `media_type` falls into this range."""
        return self.media_type in (media_type, "*/*") or (
            self.media_type.endswith("/*") and media_type.startswith(self.media_type[:-1])
        )


@lru_cache(maxsize=256)
def answer_type(accept: str | None) -> str | None:
    """The media type to answer with, None when the client accepts none of ours.

    A missing header and wildcards mean application/json; of two named with the same quality the newer one wins.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = list(_ranges(accept))
    quality, _, _, kind = max(_preference(ranges, kind) for kind in (JSON, GRAPHQL_RESPONSE))
    return kind if quality > 0 else None


@lru_cache(maxsize=256)
def takes_stream(accept: str | None) -> bool:
    """Whether a stream of events is accepted by its name; a wildcard does not ask for one."""
    named = [found for found in _ranges(accept or "") if found.media_type == EVENT_STREAM]
    return any(found.quality > 0 for found in named)


def _preference(ranges: list[MediaRange], kind: str) -> tuple[float, int, bool, str]:
    """Quality, how exactly it was named, and which of two equals goes first."""
    matching = [found for found in ranges if found.covers(kind)]
    narrowest = max(matching, key=lambda found: found.specificity, default=MediaRange(kind, 0.0))
    named = narrowest.specificity == 2
    return narrowest.quality, narrowest.specificity, named == (kind == GRAPHQL_RESPONSE), kind


def _ranges(accept: str) -> Iterator[MediaRange]:
    for part in accept.split(","):
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        values = dict(parameter.partition("=")[::2] for parameter in parameters)
        if values.get("charset", "utf-8").strip('"') in ("utf-8", "utf8", "*"):
            yield MediaRange(media_type, _quality(values.get("q", "1")))


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
