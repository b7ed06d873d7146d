"""A whole answer as an entry in Redis: what it rests on, for whom it is right, and its bytes."""

import hashlib
import zlib
from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from cache.reading import decode_entry
from web.answer_version import answer_version
from web.answers import Answer
from web.graphql_request import GraphQLRequest
from web.response_cache import KeptAnswer

NAMESPACE: Final = "answer"
PACKED_FROM_BYTES: Final = 32_768
"""To pack less takes a worker longer than to send it: 130 us for 29 kB."""
PACKING: Final = 1

_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode


class SharedAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The value of an entry: made at `since` by the clock of its maker; a `packed` body is zlib's.

    The request is for operators alone: nothing that is served depends on it.
    """

    tags: list[str]
    since: datetime
    valid_until: datetime | None
    made_at: datetime | None
    etag: str
    headers: dict[str, str]
    request: GraphQLRequest
    packed: bool
    body: bytes


_decode: Final = msgspec.msgpack.Decoder(SharedAnswer).decode


class AnswerName(msgspec.Struct, frozen=True):
    """An answer for all viewers in whom these facts have these values."""

    operation: bytes
    facts: tuple[str, ...]
    key: bytes
    """The operation with the facts and their values."""
    entry: str
    """What its entry is called in Redis."""


def prefix() -> str:
    """What the names of all answers of this version begin with."""
    return f"{NAMESPACE}@{answer_version()}:"


def answer_name(operation: bytes, facts: tuple[str, ...], values: tuple[object, ...] | None) -> AnswerName:
    """The name of what an execution gives that looks at these facts only, for a viewer in whom they are `values`."""
    return _named(prefix(), operation, facts, values)


# few: a request asks up to three times, and with the reaches of who may see 1,000 departments one takes 140 kB
@lru_cache(maxsize=32)
def _named(beginning: str, operation: bytes, facts: tuple[str, ...], values: tuple[object, ...] | None) -> AnswerName:
    key = _encode((operation, facts, values))
    return AnswerName(operation, facts, key, f"{beginning}{hashlib.blake2b(key, digest_size=16).hexdigest()}")


def entry_of(kept: KeptAnswer, name: AnswerName, request: GraphQLRequest, since: datetime) -> bytes:
    """The entry of an answer."""
    body, packed = kept.answer.body, len(kept.answer.body) >= PACKED_FROM_BYTES
    value = SharedAnswer(
        list(kept.stamps),
        since,
        kept.valid_until,
        kept.made_at,
        kept.etag,
        kept.answer.headers,
        request,
        packed,
        zlib.compress(body, PACKING) if packed else body,
    )
    stamps, raw_key = list(kept.stamps.values()), msgspec.Raw(name.key)
    return _encode((kept.fence, stamps, msgspec.Raw(_encode(value)), raw_key))


def shared_answer(value: bytes) -> SharedAnswer:
    """The value of an entry; raises ValueError when it is none."""
    return _decode(value)


def kept_from(entry: bytes, name: AnswerName, now: datetime) -> KeptAnswer | None:
    """The answer of an entry, if it is that of the name and right at `now`; raises ValueError when it is none.

    Its stamps are not looked at here.
    """
    fence, stamps, value, key = decode_entry(entry)
    found = _decode(value)
    is_over = found.valid_until is not None and now >= found.valid_until
    # the clock of another machine may be ahead: what it made is not used before it was made
    if bytes(key) != name.key or is_over or now < found.since:
        return None
    if len(stamps) != len(found.tags):
        raise ValueError(f"needed a stamp for each of {len(found.tags)} tags, got {len(stamps)}")
    answer = Answer(200, unpacked(found), found.headers)
    stamp_by_tag = dict(zip(found.tags, stamps, strict=True))
    return KeptAnswer(answer, found.etag, found.valid_until, fence, stamp_by_tag, found.made_at)


def unpacked(found: SharedAnswer) -> bytes:
    """The bytes that are sent; raises ValueError when they cannot be unpacked."""
    if not found.packed:
        return found.body
    try:
        return zlib.decompress(found.body)
    except zlib.error as error:
        raise ValueError(str(error)) from error
