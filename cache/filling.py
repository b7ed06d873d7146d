"""What the script `fill` is sent: entries with their lives, marks of their youth, and leases to give back."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from cache.leases import Lease

JITTER: Final = 0.1
SHORTEST_COST: Final = timedelta(milliseconds=100)  # what is asked for once in a while should be met as well


def fill_command(
    entry_by_name: Mapping[str, bytes], life: timedelta, mark_by_name: Mapping[str, str], cost: timedelta, lease: Lease
) -> tuple[list[str], list[Any]]:
    """Keys and arguments; `mark_by_name` has the marks of those entries that are made anew early."""
    lives_ms = {name: _ms(life * random.uniform(1 - JITTER, 1 + JITTER)) for name in entry_by_name}  # noqa: S311
    marks_ms = {mark: mark_life_ms(lives_ms[name], cost) for name, mark in mark_by_name.items()}
    stored = [part for name, entry in entry_by_name.items() for part in (lives_ms[name], entry)]
    keys = [*entry_by_name, *marks_ms, *lease.names]
    return keys, [len(entry_by_name), len(marks_ms), lease.token, *stored, *marks_ms.values()]


def mark_life_ms(life_ms: int, cost: timedelta) -> int:
    """When an entry is made anew: before its end by several times what that takes, each at another time."""
    early = max(cost, SHORTEST_COST) * random.uniform(2, 10)  # noqa: S311
    return max(life_ms // 2, life_ms - _ms(early))


def _ms(life: timedelta) -> int:
    return round(life.total_seconds() * 1000)
