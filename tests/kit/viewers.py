"""Viewers without a user in the database: what grants come to, worked out as for a real request."""

from datetime import UTC, datetime

from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId, UserId
from domain.permission import Grant, Viewer, ViewerFacts, viewer_of


def as_viewer(
    *grants: Role | Grant,
    employee: EmployeeId | None = None,
    managed: tuple[DepartmentId, ...] = (),
    now: datetime = datetime(2026, 3, 17, 5, tzinfo=UTC),
) -> Viewer:
    """A viewer with these roles; a bare role is for everyone, and departments have none below them.

    `rig.viewer(email)` has a real user.
    """
    given = tuple(grant if isinstance(grant, Grant) else Grant(grant) for grant in grants)
    named = {*managed, *(grant.department_id for grant in given if grant.department_id is not None)}
    departments = tuple((department, None) for department in sorted(named))
    facts = ViewerFacts(UserId(999_999), "viewer@rollcall.test", employee, True, 0, given, managed, departments)
    return viewer_of(facts, now)
