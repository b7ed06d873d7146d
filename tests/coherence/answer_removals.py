"""How the safeguards of whole answers that workers share are taken out of this process."""

from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import msgspec

import web.shared_answers
from web.answer_entries import AnswerName, kept_from, shared_answer
from web.response_cache import KeptAnswer, ResponseCache

SHARED = vars(web.shared_answers)


def without_look() -> None:
    """The stamps of an answer are not looked at when it is taken."""
    whole = ResponseCache.admits

    async def stands(*_: object) -> bool:
        return True

    async def admits(self: ResponseCache, *given: Any) -> bool:
        of_redis, self._cache = self._cache, SimpleNamespace(stands=stands, foundation=self._cache.foundation)  # type: ignore[assignment]
        try:
            return await whole(self, *given)
        finally:
            self._cache = of_redis

    ResponseCache.admits = admits  # type: ignore[method-assign]


def without_facts() -> None:
    """Whose answer it is does not matter."""
    whole = SHARED["answer_name"]
    SHARED["answer_name"] = lambda operation, _, values: whole(operation, (), ())


def at(moment: Callable[[datetime, datetime], datetime], *, ends: bool = True) -> Callable[[], None]:
    """An answer is taken as if it were the moment that is made of when it was made, and of now."""

    def taken(entry: bytes, name: AnswerName, now: datetime) -> KeptAnswer | None:
        since = shared_answer(bytes(msgspec.msgpack.decode(entry, type=tuple[bytes, Any, msgspec.Raw, Any])[2])).since
        kept = kept_from(entry, name, moment(since, now))
        return kept if kept is None or ends else msgspec.structs.replace(kept, valid_until=None)

    def without() -> None:
        SHARED["kept_from"] = taken

    return without


def without_version() -> None:
    """What code made an answer does not matter."""
    vars(web.answer_entries)["prefix"] = lambda: "answer@any:"
    SHARED["hint_of"] = lambda prepared: f"hint@any:{prepared.request.query}"
