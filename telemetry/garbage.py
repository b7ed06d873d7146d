"""Collections of garbage by generation: how many, and how long everything stood still for each."""

import gc
import time
from collections.abc import Mapping
from typing import Any, Final

from telemetry.timings import Timings

collections: Final = Timings(most_names=3)


class _Watch:
    """Called by the collector before and after each collection."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
        else:
            collections.add(f"generation {info['generation']}", time.perf_counter() - self._began_s)


def watch_collections() -> None:
    """Time every collection of this process from now on."""
    gc.callbacks.append(_Watch())
