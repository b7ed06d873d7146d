"""Who can sign in to the demo company, as whom, with one password for all."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from domain.attendance.calendar import day_type_of
from domain.attendance.work_days import Company
from domain.enums import DayType, EmployeeStatus, Role
from domain.ids import EmployeeId, LocationId, UserId
from ops.demo.company import Blueprint
from ops.demo.organisation import Organisation, Pattern
from ops.demo.people import Person
from ops.demo.places import PLACES
from ops.demo.plans import period_of, planned

DEMO_PASSWORD: Final = "rollcall-demo"  # noqa: S105
DEMO_USERS: Final[Sequence[tuple[str, str]]] = (
    ("admin@rollcall.test", "everything: users, settings, people, audit"),
    ("hr@rollcall.test", "HR, everywhere"),
    ("manager@rollcall.test", "manager of a division and its teams"),
    ("analyst@rollcall.test", "analyst: statistics and pseudonymous rows"),
    ("employee@rollcall.test", "employee: own attendance"),
    ("auditor@rollcall.test", "auditor: reads everything"),
    ("payroll@rollcall.test", "payroll, everywhere"),
    ("device@rollcall.test", f"punch clocks of {PLACES[0].name}"),
)
_ROLES: Final[Sequence[Sequence[Role]]] = (
    (Role.ADMIN, Role.HR, Role.AUDITOR),
    (Role.HR,),
    (Role.EMPLOYEE, Role.MANAGER),
    (Role.ANALYST,),
    (Role.EMPLOYEE,),
    (Role.AUDITOR,),
    (Role.PAYROLL,),
    (Role.DEVICE,),
)
_FIRST_HOUR, _LATEST_HOUR = 9, 17


class SignedIn(msgspec.Struct, frozen=True):
    """The employees behind manager@ and employee@; whether they are in today is left to whoever signs in as them."""

    leader: EmployeeId
    member: EmployeeId | None

    @property
    def employees(self) -> frozenset[EmployeeId]:
        """Both."""
        return frozenset({self.leader, self.member} - {None}) if self.member else frozenset({self.leader})


def signed_in(plan: Blueprint, company: Company, now: datetime) -> SignedIn:
    """Choose a division's leader, and an employee on a day shift where it is working time if there is one."""
    organisation = plan.organisation()
    candidates = list(_ordinary(plan, organisation))
    at_work = (person.id for person in candidates if _is_at_work(person, plan.seed, company, now))
    member = next(at_work, candidates[0].id if candidates else None)
    return SignedIn(EmployeeId(min(2, plan.employees)), member)


def user_rows(password_hash: str, people: SignedIn) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows of app_user, rows of role_grant)."""
    employees = {"manager@rollcall.test": people.leader, "employee@rollcall.test": people.member}
    users, grants = [], []
    for number, ((email, _), roles) in enumerate(zip(DEMO_USERS, _ROLES, strict=True), 1):
        employee = employees.get(email)
        users.append(
            {"id": UserId(number), "email": email, "password_hash": password_hash, "employee_id": employee}
            | {"is_active": True, "token_epoch": 0}
        )
        grants += [_grant(UserId(number), role) for role in roles]
    return users, [{"id": number, **grant} for number, grant in enumerate(grants, 1)]


def _grant(user: UserId, role: Role) -> dict[str, Any]:
    location: LocationId | None = PLACES[0].id if role is Role.DEVICE else None
    return {"user_id": user, "role": role, "location_id": location}


def _ordinary(plan: Blueprint, organisation: Organisation) -> Iterator[Person]:
    for number in range(len(organisation.units) + 1, min(plan.employees, len(organisation.units) + 1000) + 1):
        person = plan.person(organisation, number)
        settled = person.status is EmployeeStatus.ACTIVE and person.hired_on < plan.first
        if settled and person.pattern is Pattern.DAY and person.own_time_zone is None:
            yield person


def _is_at_work(person: Person, seed: int, company: Company, now: datetime) -> bool:
    """Whether it is working time where somebody works, who is not on leave."""
    local = now.astimezone(ZoneInfo(person.place.time_zone))
    facts = company.locations[person.place.id]
    kind, _ = day_type_of(local.date(), facts.holidays.get(local.date()), facts.work_week, None)
    period = period_of(local.date())
    if any(leave.halves_on(local.date()) for leave in planned(person, seed, period, period).leaves):
        return False
    return kind is DayType.WORKING and _FIRST_HOUR <= local.hour < _LATEST_HOUR
