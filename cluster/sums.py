"""Adding and subtracting reports: nested mappings whose leaves are numbers that only grow."""

from collections.abc import Iterable, Mapping
from typing import Any

Sums = dict[str, Any]


def added(parts: Iterable[Mapping[str, Any]]) -> Sums:
    """The sums of all parts; whatever is neither a number nor a mapping is left out."""
    total: Sums = {}
    for part in parts:
        _add(total, part)
    return total


def _add(total: Sums, part: Mapping[str, Any]) -> None:
    for name, value in part.items():
        if isinstance(value, Mapping):
            below = total.setdefault(name, {})
            if isinstance(below, dict):
                _add(below, value)
        elif isinstance(value, int | float) and isinstance(before := total.get(name, 0), int | float):
            total[name] = before + value


def subtracted(now: Mapping[str, Any], before: Mapping[str, Any]) -> Sums:
    """What came to `now` since `before`."""
    return {
        name: subtracted(value, before.get(name, {})) if isinstance(value, Mapping) else value - before.get(name, 0)
        for name, value in now.items()
    }
