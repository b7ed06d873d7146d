"""Counters of this process, by name and label; metrics and statistics read them from here."""

from collections import Counter
from typing import Final

counters: Final[Counter[tuple[str, str]]] = Counter()


def count(name: str, label: str = "", amount: int = 1) -> None:
    """Add to the counter `name` under one label, e.g. ("cache_hits", "employee_by_id")."""
    counters[name, label] += amount
