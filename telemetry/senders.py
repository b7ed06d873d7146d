"""Which operation and which loader sent a statement, and how often: a bounded number of triples."""

from telemetry.timings import OTHERS


class Senders:
    """Counts by (statement, operation, loader); the last two are empty for what no request or no loader sent."""

    def __init__(self, most: int) -> None:
        self._counts: dict[tuple[str, str, str], int] = {}
        self._most = most

    def add(self, statement: str, operation: str, loader: str) -> None:
        """A statement was sent; past the limit it is not remembered for whom."""
        triple = (statement, operation, loader)
        if triple not in self._counts and len(self._counts) >= self._most:
            triple = (OTHERS, OTHERS, OTHERS)
        self._counts[triple] = self._counts.get(triple, 0) + 1

    def sums(self) -> dict[str, dict[str, dict[str, int]]]:
        """How often, by statement, operation and loader: numbers that can be added over processes."""
        found: dict[str, dict[str, dict[str, int]]] = {}
        for (statement, operation, loader), times in self._counts.copy().items():
            found.setdefault(statement, {}).setdefault(operation, {})[loader] = times
        return found
