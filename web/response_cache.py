"""Whole answers to queries, kept in this process and sent again only while every stamp they rest on is unchanged.

The key of an answer is its operation with variables, and the facts about the viewer that making it looked at. Which
facts an operation looks at is learned from its executions; until then, and whenever anything is in doubt, the
operation is executed. A hit costs one look at the stamps, which all requests of a tick share.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
import orjson

from cache.dependencies import Dependencies
from cache.second_level import SecondLevelCache
from domain.permission import Viewer
from resolvers.consulted import facts_of
from resolvers.context import Context
from telemetry.counters import count
from web.answers import Answer
from web.execution import PreparedOperation

MOST_OPERATIONS: Final = 2_000
MOST_VIEWERS: Final = 10_000
LARGEST_SHARE: Final = 8
"""An answer of more than this fraction of the memory is not kept."""
OVERHEAD_BYTES: Final = 600  # of an entry beside its body: key, stamps, headers; measured with tracemalloc


class KnownViewer(msgspec.Struct, frozen=True):
    """A viewer with what they rest on; another epoch of tokens needs another look."""

    viewer: Viewer
    token_epoch: int
    valid_until: datetime | None
    fence: bytes
    stamps: dict[str, bytes]


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer with what it rests on."""

    answer: Answer
    etag: str
    valid_until: datetime | None
    fence: bytes
    stamps: dict[str, bytes]

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, roughly."""
        return len(self.answer.body) + OVERHEAD_BYTES + 100 * len(self.stamps)


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode
AnswerKey = tuple[bytes, tuple[object, ...]]


class ResponseCache:
    """The answers of one worker; `most_bytes` 0 keeps none."""

    def __init__(self, cache: SecondLevelCache, most_bytes: int, clock: Callable[[], datetime]) -> None:
        self._cache = cache
        self._most_bytes = most_bytes
        self._clock = clock
        self._facts_by_operation: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._viewers: OrderedDict[int, KnownViewer] = OrderedDict()
        self._answers: OrderedDict[AnswerKey, KeptAnswer] = OrderedDict()
        self._bytes = 0

    def operation_key(self, prepared: PreparedOperation, media_type: str) -> bytes:
        """What an operation is known by: its text, name and variables, and the form of the answer."""
        request = prepared.request
        parts = [request.query, prepared.operation.name or "", media_type]
        digest = hashlib.blake2b(orjson.dumps([*parts, request.variables], option=orjson.OPT_SORT_KEYS), digest_size=16)
        return digest.digest()

    async def fresh(self, operation: bytes, user_id: int | None, token_epoch: int) -> KeptAnswer | None:
        """The kept answer for this viewer, if nothing that it and the viewer's rights rest on has changed."""
        facts = self._facts_by_operation.get(operation)
        known = self._viewers.get(user_id) if user_id is not None else None
        if facts is None or (user_id is not None and (known is None or not self._admits(known, token_epoch))):
            return None
        key = (operation, facts_of(known.viewer if known else None, facts))
        kept = self._answers.get(key)
        if kept is None or self._is_over(kept.valid_until):
            return None
        stamps = kept.stamps | known.stamps if known else kept.stamps
        if (known and known.fence != kept.fence) or not await self._cache.unchanged(kept.fence, stamps):
            self._forget(key)
            count("responses", "changed")
            return None
        self._answers.move_to_end(key)
        count("responses", "hit")
        return kept

    def know(self, viewer: Viewer, token_epoch: int, valid_until: datetime | None, dependencies: Dependencies) -> None:
        """Remember what a viewer may do, as it was just looked up."""
        if not dependencies.storable or dependencies.fence is None:
            self._viewers.pop(viewer.user_id, None)
            return
        self._viewers[viewer.user_id] = KnownViewer(
            viewer, token_epoch, valid_until, dependencies.fence, dict(dependencies.stamps)
        )
        self._viewers.move_to_end(viewer.user_id)
        if len(self._viewers) > MOST_VIEWERS:
            self._viewers.popitem(last=False)

    def keep(self, operation: bytes, context: Context, answer: Answer) -> tuple[KeptAnswer | None, str]:
        """Keep an answer that was just made; (None, why) when it must not be kept."""
        reason = self._reason_not_to(context, answer)
        if reason:
            count("responses", reason)
            return None, reason
        dependencies = context.loaders.dependencies
        assert dependencies.fence is not None
        facts = self._learned(operation, context.watched.consulted if context.watched else set())
        key = (operation, facts_of(context.viewer, facts))
        etag = f'W/"{_digest(key, dependencies)}"'
        kept = KeptAnswer(answer, etag, context.valid_until, dependencies.fence, dict(dependencies.stamps))
        self._forget(key)
        self._answers[key] = kept
        self._bytes += kept.size_bytes
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._answers)))
        count("responses", "stored")
        return kept, "stored"

    def _reason_not_to(self, context: Context, answer: Answer) -> str | None:
        if answer.status != 200 or answer.error_codes:
            return "error"
        if not context.loaders.dependencies.storable:
            return "unstamped"
        if self._is_over(context.valid_until):
            return "live"
        return "large" if len(answer.body) > self._most_bytes // LARGEST_SHARE else None

    def _learned(self, operation: bytes, consulted: set[str]) -> tuple[str, ...]:
        """The facts that executions of the operation have looked at so far, this one among them."""
        known = self._facts_by_operation.get(operation)
        if known is not None and consulted.issubset(known):
            return known
        facts = tuple(sorted({*(known or ()), *consulted}))
        self._facts_by_operation[operation] = facts
        if len(self._facts_by_operation) > MOST_OPERATIONS:
            self._facts_by_operation.popitem(last=False)
        return facts

    def _admits(self, known: KnownViewer, token_epoch: int) -> bool:
        return known.token_epoch == token_epoch and not self._is_over(known.valid_until)

    def _is_over(self, valid_until: datetime | None) -> bool:
        return valid_until is not None and self._clock() >= valid_until

    def _forget(self, key: AnswerKey) -> None:
        if (kept := self._answers.pop(key, None)) is not None:
            self._bytes -= kept.size_bytes


def _digest(key: AnswerKey, dependencies: Dependencies) -> str:
    """Changes whenever a stamp does, and is another one for viewers of another class."""
    operation, facts = key
    digest = hashlib.blake2b(operation + (dependencies.fence or b"") + _encode(facts), digest_size=12)
    for tag, stamp in sorted(dependencies.stamps.items()):
        digest.update(f"{tag}=".encode() + stamp + b"&")
    return digest.hexdigest()
