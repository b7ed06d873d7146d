"""The tree of departments."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from domain.ids import DepartmentId


class DepartmentTree(msgspec.Struct, frozen=True):
    """Who is above whom: the parent of each department, None for a root."""

    parent_by_id: Mapping[DepartmentId, DepartmentId | None]

    def subtrees(self, roots: Iterable[DepartmentId]) -> tuple[DepartmentId, ...]:
        """The departments `roots` and everything below them, in the order of their ids; unknown ones are left out."""
        children: defaultdict[DepartmentId | None, list[DepartmentId]] = defaultdict(list)
        for child, parent in self.parent_by_id.items():
            children[parent].append(child)
        found: set[DepartmentId] = set()
        waiting = [root for root in roots if root in self.parent_by_id]
        while waiting:
            department = waiting.pop()
            if department not in found:
                found.add(department)
                waiting += children[department]
        return tuple(sorted(found))

    def is_below(self, department: DepartmentId, other: DepartmentId) -> bool:
        """Whether `department` is `other` or somewhere below it."""
        seen: DepartmentId | None = department
        for _ in range(len(self.parent_by_id) + 1):
            if seen is None or seen == other:
                return seen == other
            seen = self.parent_by_id.get(seen)
        return False
