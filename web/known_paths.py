"""Which facts about a viewer executions of a query look at: learnt from those of this worker, and from hints in Redis.

The names under which answers are looked for are made of them. A hint that is missing or wrong only costs a miss.
"""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from cache.second_level import SecondLevelCache
from resolvers.consulted import FACTS
from web.answer_version import answer_version
from web.execution import PreparedOperation

Path = tuple[str, ...]
"""The facts that an execution looked at."""

NAMESPACE: Final = "hint"
MOST_QUERIES: Final = 10_000
MOST_PATHS: Final = 4
"""Of a query: the same one may look at other facts for another viewer, or with other variables."""
HINT_LIFE: Final = timedelta(hours=1)

_decode: Final = msgspec.msgpack.Decoder(tuple[Path, ...]).decode


class KnownPaths:
    """What one worker knows; the query asked least lately is forgotten first."""

    def __init__(self, cache: SecondLevelCache) -> None:
        self._cache = cache
        self._known: OrderedDict[str, tuple[Path, ...]] = OrderedDict()

    def of(self, hint: str) -> tuple[Path, ...] | None:
        """The paths of the query that the hint is about, the latest first; None while nothing is known here."""
        found = self._known.get(hint)
        if found is not None:
            self._known.move_to_end(hint)
        return found

    def learn(self, hint: str, paths: Sequence[Path]) -> bool:
        """Remember paths of a query; whether any of them is new here."""
        before = self.of(hint) or ()
        now = tuple(dict.fromkeys((*paths, *before)))[:MOST_PATHS]
        self._known[hint] = now
        if len(self._known) > MOST_QUERIES:
            self._known.popitem(last=False)
        return not set(now) <= set(before)

    def learn_from(self, hint: str, stored: bytes | None) -> tuple[Path, ...]:
        """The paths that a hint in Redis names; only facts that a viewer has are believed."""
        try:
            paths = _decode(stored) if stored else ()
        except ValueError:
            paths = ()
        paths = tuple(path for path in paths if set(path) <= set(FACTS))
        if paths:
            self.learn(hint, paths)
        return paths

    def tell(self, hint: str) -> None:
        """Store what is known of a query, for workers that know nothing of it; within `soon`."""
        self._cache.store(NAMESPACE, hint, msgspec.msgpack.encode(self.of(hint)), HINT_LIFE)


def hint_of(prepared: PreparedOperation) -> str:
    """The name of the hint about a query: the same for all variables."""
    return f"{NAMESPACE}@{answer_version()}:{prepared.operation.digest}"
