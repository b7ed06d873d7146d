"""Subscriptions: an event is what an execution with fresh loaders and a fresh viewer gives, whatever sends it.

What an execution rested on is looked at on a beat; when it no longer stands, or nothing can say so, the operation is
executed again, and what is new is sent. Nothing is queued: who is slow is told what is true when the next can be sent.
docs/explain/subscriptions.md says why no event is ever older than what was acknowledged before it.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import orjson
from graphql import OperationType

from cache.dependencies import Dependencies
from cache.reading import Foundation
from cache.second_level import SecondLevelCache
from domain.consistency import Mark
from domain.errors import Unauthenticated, Unavailable
from domain.ids import UserId
from resolvers.context import Context
from schema.scalars import shown_instant
from telemetry.clock import utc_now
from telemetry.counters import count
from telemetry.executions import executing
from telemetry.requests import current_operation
from web.answers import Answer
from web.beat import Beat
from web.consistency import mark_in
from web.equal_answers import EqualAnswer, EqualAnswers
from web.execution import Execution, PreparedOperation, RequestFacts
from web.measured import operation_label
from web.negotiation import GRAPHQL_RESPONSE
from web.refusals import refused, too_late
from web.request_errors import RequestError
from web.viewers import ViewerBasis

if TYPE_CHECKING:
    from starlette.datastructures import Headers

PROTOCOL: Final = "graphql-transport-ws"
USUAL_INTERVAL: Final = timedelta(seconds=1)
PATIENCE: Final = timedelta(seconds=30)
"""What was told once may be without news for so long, because a server is away, before the subscription ends."""
MOST_AT_ONCE: Final = 4
"""Of executions: one change may concern every subscription of a worker, and requests want to be answered meanwhile."""
PASSING: Final = frozenset(("SERVICE_UNAVAILABLE", "REQUEST_TIMEOUT"))

EventContexts = Callable[[RequestFacts], Awaitable[tuple[object, ViewerBasis]]]
Knows = Callable[[Mark], Awaitable[bool]]


class Wanted(msgspec.Struct, frozen=True):
    """An operation to follow, and for whom: the headers are looked at again for every event."""

    prepared: PreparedOperation
    headers: "Headers"
    request_id: str
    client_host: str = ""


class Event(msgspec.Struct, frozen=True):
    """What to send next. With `failed` the answer has errors and no data; `denied` says why a token opens nothing."""

    answer: Answer
    is_last: bool = False
    failed: bool = False
    denied: str | None = None


class _Basis(msgspec.Struct, frozen=True):
    """What an event rests on; without a foundation nothing vouches for it any longer."""

    foundation: Foundation | None = None
    cache: SecondLevelCache | None = None
    valid_until: datetime | None = None

    async def stands(self, now: datetime) -> bool:
        """Whether executing again would give the same."""
        if self.cache is None or self.foundation is None or (self.valid_until is not None and now >= self.valid_until):
            return False
        return await self.cache.stands(self.foundation)


class _Made(msgspec.Struct, frozen=True):
    event: Event
    fingerprint: bytes = b""
    basis: _Basis = _Basis()
    interval: timedelta | None = None


class Live:
    """The subscriptions of one worker, `most` of them at once, `most_of_user` of one user's."""

    def __init__(
        self,
        execution: Execution,
        contexts: EventContexts,
        *,
        timeout: timedelta,
        most: int,
        most_of_user: int,
        knows: Knows | None = None,
        clock: Callable[[], datetime] = utc_now,
        beat: Beat | None = None,
    ) -> None:
        self.execution = execution
        self.open = 0
        self.clock = clock
        self.beat = beat or Beat()
        self._contexts = contexts
        self._timeout_s = timeout.total_seconds()
        self._most = most
        self._most_of_user = most_of_user
        self._of_user: Counter[UserId] = Counter()
        self._knows = knows
        self._executing = asyncio.Semaphore(MOST_AT_ONCE)
        self._equal = EqualAnswers()

    def follow(self, wanted: Wanted) -> "Subscription":
        """One more subscription, to be closed; raises Unavailable when there are as many as a worker takes."""
        if self.open >= self._most:
            count("subscription_events", "refused")
            raise Unavailable(f"subscriptions: this worker has {self._most:,}, as many as it takes; try again later", 5)
        self.open += 1
        return Subscription(self, wanted)

    def count_for(self, user: UserId) -> None:
        """One more of a user; raises RequestError when there are as many as one may have."""
        if self._of_user[user] >= self._most_of_user:
            count("subscription_events", "refused")
            message = f"subscriptions: at most {self._most_of_user:,} of one user at once allowed; end one first"
            raise RequestError("TOO_MANY_SUBSCRIPTIONS", message, 429)
        self._of_user[user] += 1

    def leave(self, user: UserId | None) -> None:
        """One fewer, of a user where it was counted for one."""
        self.open -= 1
        if user is not None:
            self._of_user[user] -= 1
            if not self._of_user[user]:
                del self._of_user[user]

    async def admit(self, headers: "Headers", request_id: str) -> None:
        """Look whether a token is good; raises Unauthenticated."""
        await self._contexts(RequestFacts(headers, request_id, "", 0.0, None, OperationType.SUBSCRIPTION))

    async def made(self, wanted: Wanted, subscription: "Subscription") -> _Made:
        """Execute an operation once; what goes wrong becomes the event."""
        operation = wanted.prepared.operation
        current_operation.set(operation_label(operation.kind.value, (operation.name or "")[:80] or None))
        async with self._executing:
            try:
                async with asyncio.timeout(self._timeout_s) as limit:
                    return await self._executed(wanted, subscription)
            except Exception as error:
                late = isinstance(error, TimeoutError) and limit.expired()
                why = too_late(self._timeout_s) if late else error
                answer = refused(why, GRAPHQL_RESPONSE, wanted.request_id)
                return _Made(Event(answer, failed=True, denied=_denied(error)))

    async def _executed(self, wanted: Wanted, subscription: "Subscription") -> _Made:
        operation = wanted.prepared.operation
        mark = mark_in(wanted.headers, wanted.prepared.request)
        facts = RequestFacts(
            wanted.headers,
            wanted.request_id,
            wanted.client_host,
            asyncio.get_running_loop().time() + self._timeout_s,
            operation.name,
            operation.kind,
            mark is not None and self._knows is not None and not await self._knows(mark),
        )
        context, basis = await self._contexts(facts)
        if not isinstance(context, Context):
            answer = await self.execution.run(wanted.prepared, context, GRAPHQL_RESPONSE, wanted.request_id)
            return _Made(_event(answer), _fingerprint(answer, None))
        if context.viewer is not None:
            subscription.belongs_to(context.viewer.user_id)
        return await self._equal_to(wanted, context, basis) or await self._anew(wanted, context, basis)

    async def _equal_to(self, wanted: Wanted, context: Context, basis: ViewerBasis) -> _Made | None:
        """What was made for another one who follows the same, if it is what executing now would give."""
        found = self._equal.find(wanted.prepared.key, context.viewer)
        if found is None:
            return None
        made = _made_of(found, context.cache, basis)
        return made if await made.basis.stands(self.clock()) else None

    async def _anew(self, wanted: Wanted, context: Context, basis: ViewerBasis) -> _Made:
        with executing(current_operation.get()):
            answer = await self.execution.run(wanted.prepared, context, GRAPHQL_RESPONSE, wanted.request_id)
        self._equal.keep(wanted.prepared.key, context, answer)
        own = context.loaders.dependencies
        made = EqualAnswer(answer, context.made_at, own, context.valid_until, context.interval)
        return _made_of(made, context.cache, basis)


class Subscription:
    """One operation that is followed by one client; `next` is asked by nobody twice at a time."""

    def __init__(self, live: Live, wanted: Wanted) -> None:
        self._live = live
        self._wanted = wanted
        self._basis: _Basis | None = None
        self._interval = USUAL_INTERVAL
        self._told: bytes | None = None
        self._well_at_s = 0.0
        self._user: UserId | None = None

    def belongs_to(self, user: UserId) -> None:
        """Called with every event, before it is made; a query is over too soon to count."""
        if self._user is None and self._wanted.prepared.operation.kind is OperationType.SUBSCRIPTION:
            self._live.count_for(user)
            self._user = user

    def close(self) -> None:
        """Make room for another one; called once."""
        self._live.leave(self._user)

    async def next(self) -> Event:
        """Wait for what has to be sent next; after the last there is nothing to wait for."""
        while True:
            if self._basis is not None:
                await self._until_fallen(self._basis)
            made = await self._live.made(self._wanted, self)
            self._basis = made.basis
            self._interval = made.interval or self._interval
            if (event := self._news(made)) is not None:
                count("subscription_events", "failed" if event.failed else "sent")
                return event
            count("subscription_events", "same")

    async def _until_fallen(self, basis: _Basis) -> None:
        while True:
            await self._live.beat.wait(self._interval)
            if not await basis.stands(self._live.clock()):
                return

    def _news(self, made: _Made) -> Event | None:
        """What of this the client has to be told."""
        now_s, event = asyncio.get_running_loop().time(), made.event
        if event.failed:
            passes = self._told is not None and PASSING.issuperset(event.answer.error_codes)
            waits = passes and now_s - self._well_at_s < PATIENCE.total_seconds()
            return None if waits else msgspec.structs.replace(event, is_last=True)
        self._well_at_s = now_s
        if made.fingerprint == self._told:
            return None
        self._told = made.fingerprint
        is_last = self._wanted.prepared.operation.kind is OperationType.QUERY
        return msgspec.structs.replace(event, is_last=is_last)


def _denied(error: Exception) -> str | None:
    return error.message if isinstance(error, Unauthenticated) else None


def _event(answer: Answer) -> Event:
    return Event(answer, failed=bool(answer.error_codes) and orjson.loads(answer.body).get("data") is None)


def _made_of(found: EqualAnswer, cache: SecondLevelCache, basis: ViewerBasis) -> _Made:
    """An answer as the event of a viewer."""
    ends = [end for end in (found.valid_until, basis.valid_until) if end is not None]
    foundation = _foundation(found.dependencies, basis.dependencies, cache)
    rests_on = _Basis(foundation, cache, min(ends, default=None))
    return _Made(_event(found.answer), _fingerprint(found.answer, found.made_at), rests_on, found.interval)


def _foundation(own: Dependencies, viewer: Dependencies | None, cache: SecondLevelCache) -> Foundation | None:
    """Everything that an answer and a viewer rest on; None when it is not all of one moment under one fence."""
    if own.fence is None or viewer is None or own.fence != viewer.fence or not (own.storable and viewer.storable):
        return None
    if any(own.stamps.get(tag, stamp) != stamp for tag, stamp in viewer.stamps.items()):
        return None
    return cache.foundation(own.fence, own.stamps | viewer.stamps)


def _fingerprint(answer: Answer, made_at: datetime | None) -> bytes:
    """The same for answers that differ in nothing but the moment that they say they were made at."""
    said = b"" if made_at is None else orjson.dumps(shown_instant(made_at))
    return hashlib.blake2b(answer.body.replace(said, b"") if said else answer.body, digest_size=16).digest()
