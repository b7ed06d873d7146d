"""Viewers without a user in the database: what grants come to, worked out as for a real request."""

from datetime import UTC, datetime

from domain.departments import DepartmentTree
from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId, UserId
from domain.permission import Grant, Viewer, ViewerFacts, viewer_of

NO_TREE = DepartmentTree({})


def as_viewer(
    *grants: Role | Grant,
    employee: EmployeeId | None = None,
    managed: tuple[DepartmentId, ...] = (),
    tree: DepartmentTree = NO_TREE,
    now: datetime = datetime(2026, 3, 17, 5, tzinfo=UTC),
) -> Viewer:
    """A viewer with these roles; a bare role is for everyone. `rig.viewer(email)` has a real user."""
    given = tuple(grant if isinstance(grant, Grant) else Grant(grant) for grant in grants)
    facts = ViewerFacts(UserId(999_999), "viewer@rollcall.test", employee, True, 0, given, managed)
    return viewer_of(facts, tree, now)
