"""What this process holds at a moment, by name: asked for when a report is made."""

from collections.abc import Callable
from typing import Final

gauges: Final[dict[str, Callable[[], float | str]]] = {}


def gauge(name: str, measure: Callable[[], float | str]) -> None:
    """Let `measure` answer for `name` from now on."""
    gauges[name] = measure
