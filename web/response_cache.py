"""Whole answers to queries, kept in this process and sent again only while every stamp they rest on is unchanged.

The key of an answer is its operation with variables, and the facts about the viewer that making it looked at. Which
facts an operation looks at is learned from its executions; until then, and whenever anything is in doubt, the
operation is executed. A hit costs one look at the stamps, which all requests of a tick share.
docs/explain/response-cache.md says why that is safe.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal

import msgspec

from cache.dependencies import Dependencies
from cache.reading import Foundation, Seen
from cache.second_level import SecondLevelCache
from domain.consistency import Position
from domain.permission import Viewer
from resolvers.consulted import facts_of
from resolvers.context import Context
from telemetry.counters import count
from telemetry.ledger import note_viewer
from web.answers import Answer
from web.viewers import NOBODY, class_of

MOST_OPERATIONS: Final = 50_000
MOST_VIEWERS: Final = 10_000
LARGEST_SHARE: Final = 8
"""An answer of more than this fraction of the memory is not kept."""
OVERHEAD_BYTES: Final = 1_000  # of an entry beside its body: key, structs, headers; tracemalloc says 860
STAMP_BYTES: Final = 300  # of a tag with its stamp, and with its name as it is asked for; tracemalloc says 184 and 100

Miss = Literal["miss", "stale"]
AnswerKey = tuple[bytes, tuple[str, ...], tuple[object, ...] | None]
"""Operation, names of facts, values of facts. With the names: what is learned may be forgotten and learned anew."""


class KnownViewer(msgspec.Struct, frozen=True, eq=False):
    """A viewer with what they rest on; another epoch of tokens needs another look."""

    viewer: Viewer
    token_epoch: int
    valid_until: datetime | None
    fence: bytes
    stamps: dict[str, bytes]
    of_class: str
    facts: dict[tuple[str, ...], tuple[object, ...] | None] = {}
    """The values of those that were asked for, by their names."""

    def values_of(self, facts: tuple[str, ...]) -> tuple[object, ...] | None:
        """The values of facts, as part of a key."""
        if (found := self.facts.get(facts)) is None:
            found = self.facts[facts] = facts_of(self.viewer, facts)
        return found


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer with what it rests on."""

    answer: Answer
    etag: str
    valid_until: datetime | None
    fence: bytes
    stamps: dict[str, bytes]
    made_at: datetime | None = None
    latest_check: dict[KnownViewer | None, Foundation] = {}
    """How the stamps were looked at for the viewer who asked last."""

    @property
    def size_bytes(self) -> int:
        """What it takes in memory, roughly."""
        return len(self.answer.body) + OVERHEAD_BYTES + STAMP_BYTES * len(self.stamps)


_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode


class ResponseCache:
    """The answers of one worker; `most_bytes` 0 keeps none."""

    def __init__(self, cache: SecondLevelCache, most_bytes: int, clock: Callable[[], datetime]) -> None:
        self._cache = cache
        self._most_bytes = most_bytes
        self._clock = clock
        self._facts_by_operation: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._viewers: OrderedDict[int, KnownViewer] = OrderedDict()
        self._answers: OrderedDict[AnswerKey, KeptAnswer] = OrderedDict()
        self.bytes = 0
        """What the answers take, roughly."""

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def keeps(self) -> bool:
        """Whether any answer may be kept."""
        return self._most_bytes > 0

    async def newest(self) -> Position | None:
        """The newest position of PostgreSQL that the stamps know of."""
        return await self._cache.newest()

    def facts(self, operation: bytes) -> tuple[str, ...]:
        """Which facts about a viewer the operation is known to look at."""
        return self._facts_by_operation.get(operation, ())

    def answer_key(self, operation: bytes, user_id: int | None) -> AnswerKey | None:
        """What all viewers have in common who share the answer with this one; None while that is not known."""
        facts, known = self._facts_by_operation.get(operation), self.known(user_id)
        return None if facts is None or known is None else (operation, facts, known.values_of(facts))

    def is_untried(self, operation: bytes, user_id: int | None) -> bool:
        """Whether there is an answer for this viewer that nobody has asked for since it was made."""
        key = self.answer_key(operation, user_id)
        kept = self._answers.get(key) if key else None
        return kept is not None and not kept.latest_check

    async def fresh(
        self, operation: bytes, user_id: int | None, token_epoch: int | None = None, seen: Seen | None = None
    ) -> KeptAnswer | Miss:
        """The kept answer for this viewer, if nothing that it and the viewer's rights rest on has changed.

        Without `token_epoch` the caller has just made sure that the viewer's token is good. What was `seen` for this
        request is not asked for again.
        """
        facts = self._facts_by_operation.get(operation)
        known = self.known(user_id)
        if facts is None or (user_id is not None and (known is None or not self._admits(known, token_epoch))):
            return "miss"
        self._facts_by_operation.move_to_end(operation)
        key = (operation, facts, known.values_of(facts) if known else None)
        kept = self._answers.get(key)
        if kept is None:
            return "miss"
        if self._is_over(kept.valid_until):
            self._forget(key, kept)
            return "stale"
        foundation = self._foundation(kept, known)
        standing = await self._cache.standing(foundation, seen) if foundation else 0
        if foundation is not None and standing == len(foundation.values):
            self._used(key, user_id)
            of_class = known.of_class if known else NOBODY
            count("answer_hits", of_class)
            note_viewer(of_class)
            return kept
        if known is not None and await self._still_holds(kept, foundation, standing):
            return "miss"  # the viewer has changed or was looked up before the answer was made
        self._forget(key, kept)
        count("responses", "changed")
        return "stale"

    async def _still_holds(self, kept: KeptAnswer, foundation: Foundation | None, standing: int) -> bool:
        """Whether the answer's own stamps are as they were, though those of the viewer are not: its own come first."""
        if foundation is None:
            return await self._cache.unchanged(kept.fence, kept.stamps)
        return standing > len(kept.stamps)

    def _foundation(self, kept: KeptAnswer, known: KnownViewer | None) -> Foundation | None:
        """What an answer and the rights of a viewer rest on, worked out once for the viewer who asks repeatedly."""
        if (found := kept.latest_check.get(known)) is None and (stamps := _together(kept, known)) is not None:
            found = self._cache.foundation(kept.fence, stamps)
            kept.latest_check.clear()
            kept.latest_check[known] = found
        return found

    def rests_on(self, kept: KeptAnswer, user_id: int | None) -> dict[str, bytes] | None:
        """The stamps of an answer and of the rights of the viewer it was sent to; None when not of one moment."""
        known = self.known(user_id)
        return _together(kept, known) if known is not None or user_id is None else None

    def age_s(self, kept: KeptAnswer, user_id: int | None, most_s: int) -> int:
        """For how long a client may reuse an answer whose fields allow `most_s`: not beyond its end, nor a role's."""
        known = self.known(user_id)
        ends = [end for end in (kept.valid_until, known.valid_until if known else None) if end is not None]
        if not ends:
            return most_s
        return min(most_s, max(0, int((min(ends) - self._clock()).total_seconds())))

    def is_over(self, kept: KeptAnswer, user_id: int | None) -> bool:
        """Whether time alone has changed what this viewer would be answered."""
        known = self.known(user_id)
        return self._is_over(kept.valid_until) or (known is not None and self._is_over(known.valid_until))

    def known(self, user_id: int | None) -> KnownViewer | None:
        """The viewer that a user was when last looked up."""
        return self._viewers.get(user_id) if user_id is not None else None

    def know(
        self, viewer: Viewer, token_epoch: int, valid_until: datetime | None, dependencies: Dependencies
    ) -> Viewer:
        """Remember what a viewer may do, as it was just looked up; the same value as before where that is equal.

        Keys of answers hold it: of a viewer who may see 1,000 departments each lookup gives 50 kB.
        """
        before = self._viewers.get(viewer.user_id)
        if not dependencies.storable or dependencies.fence is None:
            self._viewers.pop(viewer.user_id, None)
            return viewer
        if before is not None and before.viewer == viewer:
            viewer = before.viewer
        self._viewers[viewer.user_id] = KnownViewer(
            viewer, token_epoch, valid_until, dependencies.fence, dependencies.stamps, class_of(viewer)
        )
        self._viewers.move_to_end(viewer.user_id)
        if len(self._viewers) > MOST_VIEWERS:
            self._viewers.popitem(last=False)
        return viewer

    def keep(self, operation: bytes, context: Context, answer: Answer) -> tuple[KeptAnswer | None, str]:
        """Keep an answer that was just made; (None, why) when it must not be kept."""
        count("answer_misses", class_of(context.viewer))
        dependencies = context.loaders.dependencies
        fence, stamps = dependencies.fence or b"", dependencies.stamps
        kept = KeptAnswer(answer, "", context.valid_until, fence, stamps, context.made_at)
        reason = self._reason_not_to(kept, storable=dependencies.storable)
        if reason:
            count("responses", reason)
            return None, reason
        facts = self._learned(operation, context.watched.consulted if context.watched else set())
        key = (operation, facts, facts_of(context.viewer, facts))
        kept = msgspec.structs.replace(kept, etag=_etag(key, answer))
        self._put(key, kept)
        count("responses", "stored")
        return kept, "stored"

    async def admits(
        self,
        operation: bytes,
        consulted: Iterable[str],
        kept: KeptAnswer,
        known: KnownViewer,
        seen: Seen | None = None,
    ) -> bool:
        """Keep an answer of another worker as if it had been made here, if everything that a hit rests on stands.

        Making it looked at the facts `consulted` only, and they were what they are of the known viewer, who has just
        been looked up. What was `seen` in the moment in which the answer was found is not asked for again.
        """
        if self._is_over(kept.valid_until) or not self._admits(known, None):
            return False
        foundation = self._foundation(kept, known)
        if foundation is None or not await self._cache.stands(foundation, seen):
            return False
        facts = self._learned(operation, set(consulted))
        if not self._is_large(kept):
            self._put((operation, facts, known.values_of(facts)), kept)
        count("answer_hits", known.of_class)
        count("responses", "shared")
        return True

    def _put(self, key: AnswerKey, kept: KeptAnswer) -> None:
        self._forget(key, self._answers.get(key))
        self._answers[key] = kept
        self.bytes += kept.size_bytes
        while self.bytes > self._most_bytes:
            self._forget(*next(iter(self._answers.items())))

    def _reason_not_to(self, kept: KeptAnswer, *, storable: bool) -> str | None:
        if kept.answer.status != 200 or kept.answer.error_codes:
            return "error"
        if not storable:
            return "unstamped"
        if self._is_over(kept.valid_until):
            return "live"
        return "large" if self._is_large(kept) else None

    def _is_large(self, kept: KeptAnswer) -> bool:
        return kept.size_bytes > self._most_bytes // LARGEST_SHARE

    def _learned(self, operation: bytes, consulted: set[str]) -> tuple[str, ...]:
        """The facts that executions of the operation have looked at so far, this one among them."""
        facts = tuple(sorted(consulted.union(self.facts(operation))))
        self._facts_by_operation[operation] = facts
        self._facts_by_operation.move_to_end(operation)
        if len(self._facts_by_operation) > MOST_OPERATIONS:
            self._facts_by_operation.popitem(last=False)
        return facts

    def _admits(self, known: KnownViewer, token_epoch: int | None) -> bool:
        return token_epoch in (None, known.token_epoch) and not self._is_over(known.valid_until)

    def _is_over(self, valid_until: datetime | None) -> bool:
        return valid_until is not None and self._clock() >= valid_until

    def _used(self, key: AnswerKey, user_id: int | None) -> None:
        """Both may have left while the stamps were looked at."""
        if key in self._answers:
            self._answers.move_to_end(key)
        if user_id is not None and user_id in self._viewers:
            self._viewers.move_to_end(user_id)
        count("responses", "hit")

    def _forget(self, key: AnswerKey, kept: KeptAnswer | None) -> None:
        """Drop this answer; one that took its place meanwhile stays."""
        if kept is not None and self._answers.get(key) is kept:
            del self._answers[key]
            self.bytes -= kept.size_bytes


def _together(kept: KeptAnswer, known: KnownViewer | None) -> dict[str, bytes] | None:
    """The stamps of an answer and of a viewer; None when they are not of one moment, so that one of them is old."""
    if known is None:
        return kept.stamps
    stamps = kept.stamps | known.stamps
    return stamps if known.fence == kept.fence and stamps == known.stamps | kept.stamps else None


def _etag(key: AnswerKey, answer: Answer) -> str:
    """Another one for every other body, also where only time has passed, and for viewers of another class."""
    operation, _, facts = key
    digest = hashlib.blake2b(answer.body, digest_size=12, key=operation)
    digest.update(_encode(facts))
    return f'W/"{digest.hexdigest()}"'
