"""What answering a query asked the cache for lately: the next answer to it asks for all of that in one look.

A lookup of an execution that finds its names among what was seen costs no round trip. What was seen is of a moment
after the request had come, so it is as good as a lookup of that moment; what a query asks for that it did not ask for
lately is looked up as ever. Foresight that is wrong or missing only costs a round trip.
"""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
from typing import Final

from cache.reading import Asked
from web.response_cache import AnswerKey

MOST_NAMES: Final = 100_000
"""That a worker remembers; a name takes about 100 bytes."""
MOST_AT_ONCE: Final = 500
"""In one look: more would be asked for in vain where another worker has made the answer meanwhile."""
NOTHING: Final = Asked([], [])


class Foresight:
    """What one worker remembers; the query that was answered least lately is forgotten first."""

    def __init__(self) -> None:
        self._asked: OrderedDict[AnswerKey, Asked] = OrderedDict()
        self._parts: dict[AnswerKey, Sequence[Asked]] = {}
        self._names = 0

    def of(self, key: AnswerKey | None) -> Asked:
        """What will be asked for, if that is known."""
        return NOTHING if key is None else self._asked.get(key, NOTHING)

    def learn(self, key: AnswerKey, parts: Sequence[Asked]) -> None:
        """Remember what was asked for to answer."""
        if self._parts.get(key) == parts:
            self._asked.move_to_end(key)
            return
        names = list(dict.fromkeys(chain.from_iterable(part.names for part in parts)))
        self._forget(key)
        if len(names) > MOST_AT_ONCE:
            return
        self._parts[key] = parts
        self._asked[key] = Asked(names, list(dict.fromkeys(chain.from_iterable(part.stamps for part in parts))))
        self._names += len(names)
        while self._names > MOST_NAMES:
            self._forget(next(iter(self._asked)))

    def _forget(self, key: AnswerKey) -> None:
        if found := self._asked.pop(key, None):
            del self._parts[key]
            self._names -= len(found.names)
