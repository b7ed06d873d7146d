"""Which facts about the viewer an answer rests on, found out by watching: two viewers who agree in them share it.

Execution is a function of the operation, its variables, the data, the time, and the facts that it looks at. So an
answer that looked at `identified` only is right for everybody who is signed in with the same `identified`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from domain.ids import UserId
from domain.permission import NOBODY, Viewer

FACTS: Final = tuple(Viewer.__struct_fields__)
FACTS_BEHIND: Final = {name: (name,) for name in FACTS} | {
    "seen": ("identified", "pseudonymous"),
    "needs_groups": ("identified", "pseudonymous"),
    "may_manage": ("personnel", "managed", "employee_id"),
    "may_record_at": ("recorded_locations",),
}
"""What each attribute of a viewer is made of; one that is not here counts as made of everything."""


class WatchedViewer:
    """Stands for a Viewer and notes which facts are looked at."""

    __slots__ = ("_viewer", "consulted")

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.consulted: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.consulted.update(FACTS_BEHIND.get(name, FACTS))
        return getattr(self._viewer, name)


def facts_of(viewer: Viewer | None, names: Iterable[str]) -> tuple[object, ...] | None:
    """The values of facts, as part of a key; None for who is not signed in, who never shares with those who are."""
    return None if viewer is None else tuple(getattr(viewer, name) for name in names)


_STRANGER: Final = msgspec.to_builtins(
    Viewer(UserId(0), "", None, frozenset(), NOBODY, NOBODY, NOBODY, NOBODY, (), False, False, False)
)


def viewer_with(values: Mapping[str, object]) -> Viewer:
    """Somebody in whom these facts have these values, as a key has them, and who may do nothing else."""
    return msgspec.convert({**_STRANGER, **values}, Viewer)
