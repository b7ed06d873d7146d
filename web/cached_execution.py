"""Queries answered from the response cache where that is right, else executed; HTTP's own words for what happened.

`Cache-Status` is RFC 9211's; an answer that is kept carries an ETag, and a GET that brings it back gets 304.
"""

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from cache.reading import Seen
from domain.consistency import Mark
from resolvers.context import Context
from telemetry.recording import recording
from web.answers import Answer
from web.auth import Authenticator
from web.cache_report import Outcome, is_wanted, may_see, with_report
from web.consistency import HEADER as CONSISTENCY
from web.execution import Execution, PreparedOperation
from web.popular import Popular
from web.response_cache import KeptAnswer, Miss, ResponseCache
from web.responses import Line, header_lines
from web.shadow_answers import ShadowAnswers
from web.shared_answers import Look, SharedAnswers

if TYPE_CHECKING:
    from starlette.datastructures import Headers

CACHE_NAME: Final = "rollcall"
MakeContext = Callable[[Seen | None], Awaitable[object]]
Execute = Callable[[object], Awaitable[Answer]]


class Asked(msgspec.Struct, frozen=True):
    """A query that no kept answer was found for at once, and what is needed to answer it otherwise."""

    operation: bytes
    headers: "Headers"
    method: str
    prepared: PreparedOperation
    media_type: str
    miss: Miss
    explains: bool
    execution: Execution
    user_id: int | None = None
    look: Look | None = None
    """What was looked at already, if more than the stamps of a kept answer was."""


class CachedExecution:
    """The response cache before the execution of queries."""

    def __init__(
        self,
        responses: ResponseCache,
        shared: SharedAnswers,
        authenticator: Authenticator,
        shadow: ShadowAnswers,
        popular: Popular,
    ) -> None:
        self._responses = responses
        self._shared = shared
        self._authenticator = authenticator
        self._shadow = shadow
        self._popular = popular

    async def knows(self, mark: Mark) -> bool:
        """Whether the cache has heard of everything that was committed before a token was given out."""
        newest = await self._responses.newest()
        return newest is not None and mark.is_reached_by(newest)

    async def look(
        self, prepared: PreparedOperation, execution: Execution, headers: "Headers", method: str, media_type: str
    ) -> Answer | Asked:
        """A kept answer that is still right, without anything else being looked up."""
        operation = prepared.key
        if is_wanted(headers):
            user_id = self._user_id(headers)
            return Asked(operation, headers, method, prepared, media_type, "miss", True, execution, user_id)
        user_id, found, look = await self._at_once(prepared, headers)
        if isinstance(found, KeptAnswer):
            self._shadow.consider(found, user_id, prepared, execution, media_type)
            self._note(operation, user_id, prepared, media_type)
            return self._shown(found, user_id, prepared, headers, method, "hit")
        return Asked(operation, headers, method, prepared, media_type, found, False, execution, user_id, look)

    async def answer(self, asked: Asked, make_context: MakeContext, execute: Execute) -> Answer:
        """What is kept for others of the viewer's class, or what `execute` gives, which is then kept if it may be."""
        with recording() if asked.explains else nullcontext() as made:
            look = asked.look or await self._shared.look(asked.prepared, asked.user_id)
            context = await make_context(look.seen)
            outcome = await self._outcome(asked, look, context, execute)
        user_id = context.viewer.user_id if isinstance(context, Context) and context.viewer is not None else None
        if outcome.kept is not None:
            self._note(asked.operation, user_id, asked.prepared, asked.media_type)
        if made is not None and isinstance(context, Context) and may_see(context):
            return with_report(outcome, context, self._responses.facts(asked.operation), made)
        if outcome.kept is not None:
            return self._shown(outcome.kept, user_id, asked.prepared, asked.headers, asked.method, outcome.status)
        status = f"{CACHE_NAME}; {outcome.status}"
        return msgspec.structs.replace(outcome.answer, headers={**outcome.answer.headers, "Cache-Status": status})

    def _note(self, operation: bytes, user_id: int | None, prepared: PreparedOperation, media_type: str) -> None:
        """Now and then remember what is asked, for warming."""
        if user_id is not None and self._popular.wants() and (key := self._responses.answer_key(operation, user_id)):
            self._popular.note(key, prepared.request, prepared.operation.name, media_type, user_id)

    def _shown(
        self,
        kept: KeptAnswer,
        user_id: int | None,
        prepared: PreparedOperation,
        headers: "Headers",
        method: str,
        status: str,
    ) -> Answer:
        own, most_s = tuple(kept.answer.headers.items()), prepared.operation.max_age_s
        age_s = self._responses.age_s(kept, user_id, most_s) if most_s else 0
        lines = _lines(own, kept.etag, status, age_s)
        if method in ("GET", "HEAD") and _brings_back(headers, kept.etag):
            return Answer(304, b"", lines=lines)
        return Answer(200, kept.answer.body, lines=lines)

    async def _at_once(
        self, prepared: PreparedOperation, headers: "Headers"
    ) -> tuple[int | None, KeptAnswer | Miss, Look | None]:
        """What is kept for a viewer who is known, or for nobody; a foreign token is looked at as it always was.

        An answer that nobody has asked for again since it was made may be one that changes more often than it is asked
        for: the look at its stamps then takes along what making it again will ask for.
        """
        operation, authorization = prepared.key, headers.get("authorization")
        if authorization is None:
            return None, await self._responses.fresh(operation, None), None
        claims = self._authenticator.own_claims(authorization)
        if claims is None:
            return None, "miss", None
        is_untried = self._responses.is_untried(operation, claims.user_id)
        look = await self._shared.look(prepared, claims.user_id) if is_untried else None
        seen = look.seen if look else None
        return claims.user_id, await self._responses.fresh(operation, claims.user_id, claims.token_epoch, seen), look

    def _user_id(self, headers: "Headers") -> int | None:
        claims = self._authenticator.own_claims(headers.get("authorization"))
        return claims.user_id if claims else None

    async def _outcome(self, asked: Asked, look: Look, context: object, execute: Execute) -> Outcome:
        if not isinstance(context, Context):
            return Outcome(await execute(context), None, "fwd=bypass; detail=other")
        miss = asked.miss
        if context.viewer is not None:
            found = await self._responses.fresh(asked.operation, context.viewer.user_id)
            if isinstance(found, KeptAnswer):
                return Outcome(found.answer, found, "hit")
            miss = miss if found == "miss" else found
            shared = await self._shared.find(look, context.viewer.user_id)
            if shared is not None:
                self._shadow.consider(shared, context.viewer.user_id, asked.prepared, asked.execution, asked.media_type)
                return Outcome(shared.answer, shared, "hit; detail=shared")
        answer = await execute(context)
        kept, reason = self._responses.keep(asked.operation, context, answer)
        if kept is not None:
            self._shared.store_later(look, context, kept)
        return Outcome(answer, kept, f"fwd={miss}; stored" if kept else f"fwd=bypass; detail={reason}")


@lru_cache(maxsize=4096)
def _lines(own: tuple[tuple[str, str], ...], etag: str, status: str, age_s: int) -> tuple[Line, ...]:
    """The headers of an answer that is kept."""
    control = f"private, max-age={age_s}" if age_s else "private, no-cache"
    told = {"Cache-Control": control, "ETag": etag, "Cache-Status": f"{CACHE_NAME}; {status}"}
    # who brings a token back wants nothing that the client itself has kept from before it
    varies = f"Accept, Authorization, {CONSISTENCY}" if age_s else "Accept, Authorization"
    return header_lines({"Vary": varies} | dict(own) | told)


def _brings_back(headers: "Headers", etag: str) -> bool:
    """Whether If-None-Match names the answer; the comparison is the weak one, whatever proxies make of the W/."""
    given = ",".join(headers.getlist("if-none-match"))
    return etag.removeprefix("W/") in (part.strip().removeprefix("W/") for part in given.split(","))
