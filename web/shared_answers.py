"""Whole answers that all workers share through Redis: one executes, the others take what it made.

An answer is stored under the facts about the viewer that making it looked at, with their values: whoever has the same
takes the same path. It is used only after the look at stamps and rights that every kept answer passes.
docs/explain/response-cache.md says why that is safe.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from cache.reading import Asked, Seen
from cache.second_level import SecondLevelCache
from domain.ids import UserId
from loaders.users import viewer_by_user
from resolvers.consulted import facts_of
from resolvers.context import Context
from telemetry.counters import count
from web.answer_entries import NAMESPACE, AnswerName, answer_name, entry_of, kept_from
from web.answer_version import answer_version
from web.execution import PreparedOperation
from web.foresight import Foresight
from web.known_paths import KnownPaths, hint_of
from web.response_cache import KeptAnswer, KnownViewer, ResponseCache

LIFE: Final = timedelta(minutes=10)
SHORTEST_LIFE: Final = timedelta(milliseconds=100)
LARGEST_BYTES: Final = 1_000_000
"""Of an entry: a larger one would hold up everything that is read in the same tick."""


class Look:
    """A query, and what of all that will be asked of Redis about it was `seen` at once."""

    def __init__(self, prepared: PreparedOperation) -> None:
        self.operation = prepared.key
        self.request = prepared.request
        self.hint = hint_of(prepared)
        self.seen: Seen | None = None


class SharedAnswers:
    """The answers of an installation; with `responses` that keep none there are none."""

    def __init__(self, cache: SecondLevelCache, responses: ResponseCache, clock: Callable[[], datetime]) -> None:
        self._cache = cache
        self._responses = responses
        self._clock = clock
        self._paths = KnownPaths(cache)
        self._foresight = Foresight()
        self._is_on = cache.server is not None and responses.keeps
        if self._is_on:
            answer_version()  # reads every module: not while a request waits

    async def look(self, prepared: PreparedOperation, user_id: int | None) -> Look:
        """Ask at once for what is known to be needed: the viewer, the answer, and what making it asked for lately."""
        look = Look(prepared)
        if self._is_on and user_id is not None:
            viewer = self._cache.asked(viewer_by_user.policy, UserId(user_id))
            names = map(self._cache.entry_name, self._names_at_once(look, user_id))
            foreseen = self._foresight.of(self._responses.answer_key(look.operation, user_id))
            asked = Asked([*viewer.names, *names, *foreseen.names], [*viewer.stamps, *foreseen.stamps])
            look.seen = await self._cache.look(asked)
        return look

    def _names_at_once(self, look: Look, user_id: int) -> list[str]:
        if self._paths.of(look.hint) is None:
            return [look.hint]
        known = self._responses.known(user_id)
        return [name.entry for name in self._names(look, known)] if known else []

    async def find(self, look: Look, user_id: int) -> KeptAnswer | None:
        """What another worker made for viewers like this one, if it is right now; then it is kept here too."""
        known = self._responses.known(user_id)
        if not self._is_on or known is None:
            return None
        if self._paths.of(look.hint) is None:
            self._paths.learn_from(look.hint, (await self._stored([look.hint], look))[0])
        names = self._names(look, known)
        for name, entry in zip(names, await self._stored([name.entry for name in names], look), strict=True):
            kept = self._taken(name, entry)
            if kept is not None and await self._admits(look, name, kept, known):
                count("shared_answers", "hit")
                return kept
        count("shared_answers", "miss")
        return None

    async def _admits(self, look: Look, name: AnswerName, kept: KeptAnswer, known: KnownViewer) -> bool:
        return await self._responses.admits(look.operation, name.facts, kept, known, look.seen)

    def _names(self, look: Look, known: KnownViewer) -> list[AnswerName]:
        return [answer_name(look.operation, path, known.values_of(path)) for path in self._paths.of(look.hint) or ()]

    def _taken(self, name: AnswerName, entry: bytes | None) -> KeptAnswer | None:
        try:
            return None if entry is None else kept_from(entry, name, self._clock())
        except ValueError:
            count("cache_undecodable", "answer")
            return None

    async def _stored(self, names: Sequence[str], look: Look) -> list[bytes | None]:
        return await self._cache.as_stored(names, look.seen) if names else []

    def store_later(self, look: Look, context: Context, kept: KeptAnswer) -> None:
        """Let the other workers have an answer that was just made; off the reply path."""
        if not self._is_on or context.viewer is None or context.watched is None:
            return
        if key := self._responses.answer_key(look.operation, context.viewer.user_id):
            self._foresight.learn(key, context.loaders.asked)
        facts = tuple(sorted(context.watched.consulted))
        name = answer_name(look.operation, facts, facts_of(context.viewer, facts))
        self._cache.soon(partial(self._store, look, name, kept, self._clock()))

    def _store(self, look: Look, name: AnswerName, kept: KeptAnswer, since: datetime) -> None:
        life = LIFE if kept.valid_until is None else min(LIFE, kept.valid_until - since)
        if life < SHORTEST_LIFE:
            return
        entry = entry_of(kept, name, look.request, since)
        if len(entry) > LARGEST_BYTES:
            count("shared_answers", "large")
            return
        if self._paths.learn(look.hint, [name.facts]):
            self._paths.tell(look.hint)
        self._cache.store(NAMESPACE, name.entry, entry, life)
        count("shared_answers", "stored")
