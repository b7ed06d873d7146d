"""Which facts about the viewer an answer rests on, found out by watching: two viewers who agree in them share it.

Execution is a function of the operation, its variables, the data, and the facts that it looks at. So an answer that
looked at `identified` only is right for everybody with the same `identified`.
"""

from collections.abc import Iterable
from typing import Any, Final

from domain.permission import Viewer

FACTS: Final = tuple(Viewer.__struct_fields__)
_FACTS_BEHIND: Final = {
    "seen": ("identified", "pseudonymous"),
    "needs_groups": ("identified", "pseudonymous"),
    "may_manage": ("personnel", "managed", "employee_id"),
    "may_record_at": ("recorded_locations",),
}


class WatchedViewer:
    """Stands for a Viewer and notes which facts are looked at."""

    __slots__ = ("_viewer", "consulted")

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.consulted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.consulted.update(_FACTS_BEHIND.get(name, (name,)))
        return getattr(self._viewer, name)


def facts_of(viewer: Viewer | None, names: Iterable[str]) -> tuple[object, ...]:
    """The values of facts, as part of a key; nobody has none."""
    return () if viewer is None else tuple(getattr(viewer, name) for name in names)
