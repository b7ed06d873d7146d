"""Who may see whom, told once more in plain Python: the oracle that every path of the API is held against.

Written from the issue's sentences, not from domain/permission.py: EMPLOYEE sees oneself; MANAGER oneself, direct
reports, the subtrees of departments that one manages, and where the grant points; HR, PAYROLL and AUDITOR whom the
grant covers; ANALYST the same, but under a pseudonym and in groups of at least five people.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SMALLEST_GROUP = 5


@dataclass(frozen=True)
class Person:
    """An employee of a drawn company; department and location are today's, the number is the key."""

    id: int
    department: int
    location: int
    manager: int | None
    old_department: int
    absent: bool = False
    today: str = "IN"


@dataclass(frozen=True)
class Granted:
    """A role with its scope; expired ones count for nothing."""

    role: str
    department: int | None = None
    location: int | None = None
    expired: bool = False


@dataclass(frozen=True)
class Company:
    """A drawn company: `parent[d]` of department d, who manages it, and everybody."""

    parent: dict[int, int | None]
    leader: dict[int, int | None]
    people: tuple[Person, ...]


@dataclass(frozen=True)
class Asking:
    """Who asks: perhaps an employee, with roles."""

    employee: int | None
    grants: tuple[Granted, ...]

    def roles(self) -> set[str]:
        return {grant.role for grant in self.grants if not grant.expired}


def ancestors(company: Company, department: int | None) -> Iterator[int]:
    """The department and everything above it."""
    while department is not None:
        yield department
        department = company.parent[department]


def sees_by_name(company: Company, asking: Asking, person: Person) -> bool:
    roles = asking.roles()
    if asking.employee == person.id and roles & {"EMPLOYEE", "MANAGER"}:
        return True
    if "MANAGER" in roles and asking.employee is not None:
        if person.manager == asking.employee:
            return True
        if any(company.leader[above] == asking.employee for above in ancestors(company, person.department)):
            return True
    for grant in asking.grants:
        whole = grant.department is None and grant.location is None
        named = grant.role in ("HR", "PAYROLL", "AUDITOR") or (grant.role == "MANAGER" and not whole)
        if named and not grant.expired and _points_at(company, grant, person):
            return True
    return False


def sees_as_pseudonym(company: Company, asking: Asking, person: Person) -> bool:
    return any(g.role == "ANALYST" and not g.expired and _points_at(company, g, person) for g in asking.grants)


def shown_of(company: Company, asking: Asking, people: Iterable[Person]) -> list[Person]:
    """Who is left of those a question is about: those seen by name, and the others where they are at least five."""
    seen = [person for person in people if sees(company, asking, person)]
    named = [person for person in seen if sees_by_name(company, asking, person)]
    return seen if len(seen) - len(named) >= SMALLEST_GROUP else named


def sees(company: Company, asking: Asking, person: Person) -> bool:
    return sees_by_name(company, asking, person) or sees_as_pseudonym(company, asking, person)


def needs_groups(company: Company, asking: Asking) -> bool:
    """Whether figures of few people are kept back: from analysts, unless another role shows them everyone by name."""
    everyone = any(
        g.role in ("HR", "PAYROLL", "AUDITOR") and not g.expired and g.department is None and g.location is None
        for g in asking.grants
    )
    return "ANALYST" in asking.roles() and not everyone


def _points_at(company: Company, grant: Granted, person: Person) -> bool:
    here = grant.location is None or grant.location == person.location
    below = grant.department is None or grant.department in ancestors(company, person.department)
    return here and below
