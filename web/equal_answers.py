"""The latest events of a worker, for others who follow the same: who agrees in all facts that making one looked at.

Only whoever has just looked at their own rights may take one, after another look at everything that it rests on; so it
is what an execution of their own would have given (docs/explain/response-cache.md has the argument).
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

import msgspec

from cache.dependencies import Dependencies
from domain.permission import Viewer
from resolvers.consulted import facts_of
from resolvers.context import Context
from web.answers import Answer

MOST: Final = 200
LARGEST_BYTES: Final = 100_000

Key = tuple[bytes, tuple[str, ...], tuple[object, ...] | None]


class EqualAnswer(msgspec.Struct, frozen=True):
    """An answer without errors, and what it rests on beside the rights of whoever asked."""

    answer: Answer
    made_at: datetime | None
    dependencies: Dependencies
    valid_until: datetime | None
    interval: timedelta | None


class EqualAnswers:
    """The answers that were made last; the oldest leave."""

    def __init__(self) -> None:
        self._facts_by_operation: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()
        self._answers: OrderedDict[Key, EqualAnswer] = OrderedDict()

    def find(self, operation: bytes, viewer: Viewer | None) -> EqualAnswer | None:
        """What was made for somebody in whom the same facts have the same values; unchecked."""
        facts = self._facts_by_operation.get(operation)
        if facts is None or viewer is None:
            return None
        return self._answers.get((operation, facts, facts_of(viewer, facts)))

    def keep(self, operation: bytes, context: Context, answer: Answer) -> None:
        """Let others have an answer, if its stamps vouch for it and it has no errors."""
        storable = context.loaders.dependencies.storable and not answer.error_codes
        if context.watched is None or not storable or len(answer.body) > LARGEST_BYTES:
            return
        known = self._facts_by_operation.pop(operation, ())
        facts = self._facts_by_operation[operation] = tuple(sorted(context.watched.consulted.union(known)))
        key = operation, facts, facts_of(context.viewer, facts)
        self._answers.pop(key, None)
        self._answers[key] = EqualAnswer(
            answer, context.made_at, context.loaders.dependencies, context.valid_until, context.interval
        )
        for kept in (self._answers, self._facts_by_operation):
            if len(kept) > MOST:
                kept.popitem(last=False)
