"""Who may see and change what: one predicate per viewer, "the employees I may see", as a value.

`Reach` is that predicate. Here it is asked about one employee; db/reach.py says the same in SQL; a property test holds
both, and every path of the API, against one oracle.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol, TypeVar

import msgspec

from domain.departments import DepartmentTree
from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId, LocationId, UserId

T = TypeVar("T", bound=int)
MIN_GROUP_SIZE = 5
"""An analyst sees no figure of fewer people than this."""


class Placed(Protocol):
    """What decides whether an employee is within reach: today's posting."""

    @property
    def id(self) -> EmployeeId: ...
    @property
    def department_id(self) -> DepartmentId: ...
    @property
    def location_id(self) -> LocationId: ...
    @property
    def manager_id(self) -> EmployeeId | None: ...


class Reach(msgspec.Struct, frozen=True):
    """A set of employees: everyone, or those that any of the other fields names; without any of them nobody."""

    everyone: bool = False
    own_id: EmployeeId | None = None
    reports_of: EmployeeId | None = None
    department_ids: tuple[DepartmentId, ...] = ()
    location_ids: tuple[LocationId, ...] = ()
    places: tuple[tuple[DepartmentId, LocationId], ...] = ()

    def covers(self, employee: Placed) -> bool:
        """Whether the employee is in the set."""
        return (
            self.everyone
            or employee.id == self.own_id
            or (self.reports_of is not None and employee.manager_id == self.reports_of)
            or employee.department_id in self.department_ids
            or employee.location_id in self.location_ids
            or (employee.department_id, employee.location_id) in self.places
        )

    def __or__(self, other: "Reach") -> "Reach":
        if self.everyone or other.everyone:
            return EVERYONE
        return Reach(
            own_id=self.own_id if self.own_id is not None else other.own_id,
            reports_of=self.reports_of if self.reports_of is not None else other.reports_of,
            department_ids=_union(self.department_ids, other.department_ids),
            location_ids=_union(self.location_ids, other.location_ids),
            places=tuple(sorted({*self.places, *other.places})),
        )


EVERYONE = Reach(everyone=True)
NOBODY = Reach()


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A role, for everyone or for a department with all below it, a location, or where both meet."""

    role: Role
    department_id: DepartmentId | None = None
    location_id: LocationId | None = None
    expires_at: datetime | None = None


class ViewerFacts(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a user; `managed` are the departments whose manager the user's employee is.

    `departments` are those, the departments of grants, and all below them, each with its parent.
    """

    user_id: UserId
    email: str
    employee_id: EmployeeId | None
    is_active: bool
    token_epoch: int
    grants: tuple[Grant, ...] = ()
    managed: tuple[DepartmentId, ...] = ()
    departments: tuple[tuple[DepartmentId, DepartmentId | None], ...] = ()


class Viewer(msgspec.Struct, frozen=True):
    """Who asks, and the sets of employees that each kind of access covers.

    `identified`: seen with name; `pseudonymous`: seen without; `managed`: attendance may be changed (never one's own);
    `personnel`: records may be changed as well. `organises`, `administers` and `audits` are not about employees.
    """

    user_id: UserId
    email: str
    employee_id: EmployeeId | None
    roles: frozenset[Role]
    identified: Reach
    pseudonymous: Reach
    managed: Reach
    personnel: Reach
    recorded_locations: tuple[LocationId, ...] | None
    organises: bool
    administers: bool
    audits: bool

    @property
    def seen(self) -> Reach:
        """Everyone of whom the viewer sees anything."""
        return self.identified | self.pseudonymous

    @property
    def needs_groups(self) -> bool:
        """Whether figures of few people have to be kept back from this viewer."""
        return self.pseudonymous != NOBODY and not self.identified.everyone

    def may_manage(self, employee: Placed) -> bool:
        """Whether the viewer may change the employee's attendance; managers not their own."""
        if self.personnel.covers(employee):
            return True
        return employee.id != self.employee_id and self.managed.covers(employee)

    def may_record_at(self, location_id: LocationId) -> bool:
        """Whether the viewer may hand in punches of the devices of a location."""
        return self.recorded_locations is None or location_id in self.recorded_locations


READERS = (Role.HR, Role.PAYROLL, Role.AUDITOR)


def viewer_of(facts: ViewerFacts, now: datetime) -> Viewer:
    """Work out what a user's grants of this moment come to."""
    tree = DepartmentTree(dict(facts.departments))
    grants = [grant for grant in facts.grants if grant.expires_at is None or grant.expires_at > now]
    roles = frozenset(grant.role for grant in grants)

    def reach(*wanted: Role) -> Reach:
        return _reach((grant for grant in grants if grant.role in wanted), tree)

    own = Reach(own_id=facts.employee_id)
    manages = _manager_reach(facts, grants, tree)
    personnel = reach(Role.HR)
    identified = reach(*READERS) | manages
    if roles & {Role.EMPLOYEE, Role.MANAGER}:
        identified = identified | own
    return Viewer(
        user_id=facts.user_id,
        email=facts.email,
        employee_id=facts.employee_id,
        roles=roles,
        identified=identified,
        pseudonymous=reach(Role.ANALYST),
        managed=personnel | manages,
        personnel=personnel,
        recorded_locations=_recorded_locations(grants),
        organises=personnel.everyone or Role.ADMIN in roles,
        administers=Role.ADMIN in roles,
        audits=Role.AUDITOR in roles,
    )


def _reach(grants: Iterable[Grant], tree: DepartmentTree) -> Reach:
    found = NOBODY
    for grant in grants:
        found = found | _grant_reach(grant, tree)
    return found


def _grant_reach(grant: Grant, tree: DepartmentTree) -> Reach:
    department, location = grant.department_id, grant.location_id
    if department is None:
        return EVERYONE if location is None else Reach(location_ids=(location,))
    below = tree.subtrees([department])
    if location is None:
        return Reach(department_ids=below)
    return Reach(places=tuple((one, location) for one in below))


def _manager_reach(facts: ViewerFacts, grants: Iterable[Grant], tree: DepartmentTree) -> Reach:
    """Reports and managed subtrees; a grant with a scope adds that scope, one without adds nobody else."""
    of_manager = [grant for grant in grants if grant.role is Role.MANAGER]
    if not of_manager:
        return NOBODY
    granted = _reach((g for g in of_manager if (g.department_id, g.location_id) != (None, None)), tree)
    return granted | Reach(reports_of=facts.employee_id, department_ids=tree.subtrees(facts.managed))


def _recorded_locations(grants: Iterable[Grant]) -> tuple[LocationId, ...] | None:
    """The locations whose devices the viewer speaks for, None for all: DEVICE grants, and HR for everyone."""
    found: set[LocationId] = set()
    for grant in grants:
        if grant.role is Role.HR and (grant.department_id, grant.location_id) == (None, None):
            return None
        if grant.role is Role.DEVICE:
            if grant.location_id is None:
                return None
            found.add(grant.location_id)
    return tuple(sorted(found))


def _union(one: tuple[T, ...], other: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(sorted({*one, *other}))
