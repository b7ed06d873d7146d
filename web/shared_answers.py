"""Whole answers that all workers share through Redis: one executes, the others take what it made.

An answer is stored under the facts about the viewer that making it looked at, with their values: whoever has the same
takes the same path. It is used only after the look at stamps and rights that every kept answer passes.
docs/explain/response-cache.md says why that is safe.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final

from cache.second_level import SecondLevelCache
from resolvers.context import Context
from telemetry.counters import count
from web.answer_entries import NAMESPACE, AnswerName, answer_name, entry_of, kept_from
from web.answer_version import answer_version
from web.execution import PreparedOperation
from web.known_paths import KnownPaths, hint_of
from web.response_cache import KeptAnswer, KnownViewer, ResponseCache

LIFE: Final = timedelta(minutes=10)
SHORTEST_LIFE: Final = timedelta(milliseconds=100)
LARGEST_BYTES: Final = 1_000_000
"""Of an entry: a larger one would hold up everything that is read in the same tick."""
TURNS: Final = 2
"""Of the event loop until a lookup reaches Redis: what is asked for then leaves in the same MGET."""

Stored = Mapping[str, bytes | None]


class Look:
    """What is being asked of Redis about a query, while its viewer is looked up."""

    def __init__(self, prepared: PreparedOperation, reading: asyncio.Task[Stored] | None) -> None:
        self.operation = prepared.key
        self.request = prepared.request
        self.hint = hint_of(prepared)
        self.reading = reading


class SharedAnswers:
    """The answers of an installation; with `responses` that keep none there are none."""

    def __init__(self, cache: SecondLevelCache, responses: ResponseCache, clock: Callable[[], datetime]) -> None:
        self._cache = cache
        self._responses = responses
        self._clock = clock
        self._paths = KnownPaths(cache)
        self._is_on = cache.server is not None and responses.keeps
        if self._is_on:
            answer_version()  # reads every module: not while a request waits

    @contextmanager
    def looking(self, prepared: PreparedOperation, user_id: int | None) -> Iterator[Look]:
        """Ask for what is known to be needed, in the same tick as what follows."""
        look = Look(prepared, None)
        if self._is_on and (names := self._names_at_once(look, user_id)):
            look.reading = asyncio.get_running_loop().create_task(self._read_early(names))
        try:
            yield look
        finally:
            if look.reading is not None:
                look.reading.cancel()

    def _names_at_once(self, look: Look, user_id: int | None) -> list[str]:
        if self._paths.of(look.hint) is None:
            return [look.hint]
        known = self._responses.known(user_id)
        return [name.entry for name in self._names(look, known)] if known else []

    async def find(self, look: Look, user_id: int) -> KeptAnswer | None:
        """What another worker made for viewers like this one, if it is right now; then it is kept here too."""
        known = self._responses.known(user_id)
        if not self._is_on or known is None:
            return None
        stored = dict(await look.reading) if look.reading else {}
        if self._paths.of(look.hint) is None:
            self._paths.learn_from(look.hint, stored.get(look.hint))
        names = self._names(look, known)
        if missing := [name.entry for name in names if name.entry not in stored]:
            stored |= await self._read(missing)
        for name in names:
            kept = self._taken(name, stored[name.entry])
            if kept is not None and await self._responses.admits(look.operation, name.facts, kept, known):
                count("shared_answers", "hit")
                return kept
        count("shared_answers", "miss")
        return None

    def _names(self, look: Look, known: KnownViewer) -> list[AnswerName]:
        return [answer_name(look.operation, path, known.viewer) for path in self._paths.of(look.hint) or ()]

    def _taken(self, name: AnswerName, entry: bytes | None) -> KeptAnswer | None:
        try:
            return None if entry is None else kept_from(entry, name, self._clock())
        except ValueError:
            count("cache_undecodable", "answer")
            return None

    async def _read_early(self, names: Sequence[str]) -> Stored:
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return await self._read(names)

    async def _read(self, names: Sequence[str]) -> Stored:
        return dict(zip(names, await self._cache.as_stored(names), strict=True))

    def store_later(self, look: Look, context: Context, kept: KeptAnswer) -> None:
        """Let the other workers have an answer that was just made; off the reply path."""
        if not self._is_on or context.viewer is None or context.watched is None:
            return
        facts = tuple(sorted(context.watched.consulted))
        name = answer_name(look.operation, facts, context.viewer)
        self._cache.later(self._store(look, name, kept, self._clock()))

    async def _store(self, look: Look, name: AnswerName, kept: KeptAnswer, since: datetime) -> None:
        life = LIFE if kept.valid_until is None else min(LIFE, kept.valid_until - since)
        if life < SHORTEST_LIFE:
            return
        entry = entry_of(kept, name, look.request, since)
        if len(entry) > LARGEST_BYTES:
            count("shared_answers", "large")
            return
        if self._paths.learn(look.hint, [name.facts]):
            self._paths.tell(look.hint)
        self._cache.store_soon(NAMESPACE, name.entry, entry, life)
        count("shared_answers", "stored")
