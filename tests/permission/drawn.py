"""Draws companies and viewers, and writes a drawn company into the database in one go."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from domain.enums import Role
from domain.ids import UserId
from tests.kit.rig import Rig
from tests.permission.oracle import Asking, Company, Granted, Person

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
TODAY, YESTERDAY = date(2026, 3, 17), date(2026, 3, 16)
LOCATIONS = 2
NUMBERED = ("app_user", "employee", "department", "location", "shift", "leave_type")
TABLES = (
    *(
        "attendance_stat",
        "attendance_day",
        "punch",
        "leave_request",
        "leave_type",
        "role_grant",
        "app_user",
        "employee_posting",
        "employee",
    ),
    *("department", "location", "work_week", "shift_rule", "shift"),
)
PRESENCES = ("IN", "IN", "LATE_NOT_IN", "ON_LEAVE")
EMAIL = "asking@rollcall.test"
ROLES = [role.value for role in Role]


@st.composite
def companies(draw: st.DrawFn) -> Company:
    count = draw(st.integers(1, 5))
    parent = {n: draw(st.none() | st.integers(1, n - 1)) if n > 1 else None for n in range(1, count + 1)}
    departments, locations = st.integers(1, count), st.integers(1, LOCATIONS)
    people = []
    for n in range(1, draw(st.integers(1, 14)) + 1):
        manager = draw(st.none() | st.integers(1, n - 1)) if n > 1 else None
        places = (draw(departments), draw(locations), manager, draw(departments))
        people.append(Person(n, *places, absent=draw(st.booleans()), today=draw(st.sampled_from(PRESENCES))))
    leaders = st.none() | st.integers(1, len(people))
    return Company(parent, {n: draw(leaders) for n in parent}, tuple(people))


@st.composite
def viewers(draw: st.DrawFn, company: Company) -> Asking:
    departments = st.none() | st.sampled_from(sorted(company.parent))
    grants = st.builds(
        Granted,
        st.sampled_from(ROLES),
        departments,
        st.none() | st.integers(1, LOCATIONS),
        st.sampled_from([False] * 4 + [True]),
    )
    analysts = st.builds(Granted, st.just("ANALYST"), departments, st.none() | st.integers(1, LOCATIONS))
    drawn = [*draw(st.lists(grants, max_size=4)), *draw(st.lists(analysts, max_size=1))]
    once = {(grant.role, grant.department, grant.location): grant for grant in drawn}
    return Asking(draw(st.none() | st.integers(1, len(company.people))), tuple(once.values()))


async def write(rig: Rig, company: Company, asking: Asking) -> UserId:
    """Replace what the database holds by the drawn company, with a day of each of two dates for everybody."""
    async with rig.rows() as rows:
        await rows.run("UPDATE department SET manager_id = NULL, parent_id = NULL")
        await rows.run("UPDATE employee SET manager_id = NULL")
        for table in TABLES:
            await rows.run(f"DELETE FROM {table}")
            if table in NUMBERED:
                await rows.run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)")
        week = await rows.work_week("NONE")
        for n in range(LOCATIONS):
            await rows.location(f"L{n + 1}", "UTC", week)
        await rows.rule(await rows.shift("DAY"))
        await rows.leave_type("CL", "Casual leave")
        for n, parent in company.parent.items():
            await rows.add("department", code=f"D{n}", name=f"Department {n}", parent_id=parent)
        for person in company.people:
            await _write_person(rows, person)
        for department, leader in company.leader.items():
            if leader is not None:
                await rows.run("UPDATE department SET manager_id = :who WHERE id = :id", who=leader, id=department)
        user = UserId(await rows.add("app_user", email=EMAIL, employee_id=asking.employee))
        for grant in asking.grants:
            expires_at = NOW - timedelta(minutes=1) if grant.expired else NOW + timedelta(minutes=1)
            scope = {"department_id": grant.department, "location_id": grant.location}
            await rows.add("role_grant", user_id=user, role=grant.role, expires_at=expires_at, **scope)
        await rows.derive([person.id for person in company.people], YESTERDAY, TODAY, NOW)  # type: ignore[misc]
    return user


async def _write_person(rows: Any, person: Person) -> None:
    """Since today in one department, until yesterday in another: the reach goes by today's posting."""
    today = {"department_id": person.department, "location_id": person.location, "manager_id": person.manager}
    name = {"employee_no": f"N{person.id}", "full_name": f"Name {person.id}", "email": f"{person.id}@rollcall.test"}
    await rows.add("employee", default_shift_id=1, hired_on=date(2026, 1, 1), **name, **today)
    id_ = {"employee_id": person.id}
    await rows.add("employee_posting", **id_, valid_from=TODAY, **today)
    before = {"valid_from": date(2026, 1, 1), "valid_to": YESTERDAY, "department_id": person.old_department}
    await rows.add("employee_posting", **id_, **before, location_id=person.location, manager_id=person.manager)
    if not person.absent:
        await rows.punch(person.id, "2026-03-16T09:00", "IN")
        await rows.punch(person.id, "2026-03-16T18:00", "OUT")
    if person.today == "IN":
        await rows.punch(person.id, "2026-03-17T09:00", "IN")
    if person.today == "ON_LEAVE":
        await rows.leave(person.id, 1, TODAY)
