"""Queries answered from the response cache where that is right, else executed; HTTP's own words for what happened.

`Cache-Status` is RFC 9211's; an answer that is kept carries an ETag, and a GET that brings it back gets 304.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from resolvers.context import Context
from web.answers import Answer
from web.auth import Authenticator
from web.execution import PreparedOperation
from web.response_cache import KeptAnswer, ResponseCache

if TYPE_CHECKING:
    from starlette.datastructures import Headers

CACHE_NAME: Final = "rollcall"
KEPT_HEADERS: Final = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}
MakeContext = Callable[[], Awaitable[object]]
Execute = Callable[[object], Awaitable[Answer]]


class CachedExecution:
    """The response cache before the execution of queries."""

    def __init__(self, responses: ResponseCache, authenticator: Authenticator) -> None:
        self._responses = responses
        self._authenticator = authenticator

    async def answer(
        self,
        prepared: PreparedOperation,
        headers: "Headers",
        method: str,
        media_type: str,
        make_context: MakeContext,
        execute: Execute,
    ) -> Answer:
        """A kept answer that is still right, or what `execute` gives, which is then kept if it may be."""
        operation = self._responses.operation_key(prepared, media_type)
        claims = self._authenticator.own_claims(headers.get("authorization"))
        miss = "miss"
        if claims is not None or "authorization" not in headers:
            user_id, epoch = (claims.user_id, claims.token_epoch) if claims else (None, 0)
            found = await self._responses.fresh(operation, user_id, epoch)
            if isinstance(found, KeptAnswer):
                return _shown(found, headers, method, "hit")
            miss = found
        context = await make_context()
        if claims is not None:  # of another viewer of the class, perhaps; this one is known only now
            found = await self._responses.fresh(operation, claims.user_id, claims.token_epoch)
            if isinstance(found, KeptAnswer):
                return _shown(found, headers, method, "hit")
            miss = miss if found == "miss" else found
        answer = await execute(context)
        if not isinstance(context, Context):
            return answer
        kept, reason = self._responses.keep(operation, context, answer)
        if kept is None:
            status = f"{CACHE_NAME}; fwd=bypass; detail={reason}"
            return msgspec.structs.replace(answer, headers={**answer.headers, "Cache-Status": status})
        return _shown(kept, headers, method, f"fwd={miss}; stored")


def _shown(kept: KeptAnswer, headers: "Headers", method: str, status: str) -> Answer:
    shown = {**KEPT_HEADERS, "ETag": kept.etag, "Cache-Status": f"{CACHE_NAME}; {status}"}
    if method in ("GET", "HEAD") and _brings_back(headers, kept.etag):
        return Answer(304, b"", shown)
    return msgspec.structs.replace(kept.answer, headers={**kept.answer.headers, **shown})


def _brings_back(headers: "Headers", etag: str) -> bool:
    """Whether If-None-Match names the answer; the comparison is the weak one, whatever proxies make of the W/."""
    given = ",".join(headers.getlist("if-none-match"))
    return etag.removeprefix("W/") in (part.strip().removeprefix("W/") for part in given.split(","))
