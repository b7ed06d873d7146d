"""Employees as the API shows them."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import strawberry

from db.rows import EmployeeRow
from domain.enums import EmployeeStatus, EmploymentType, PresenceState
from resolvers import connections
from resolvers import employees as resolve
from resolvers.inputs import TimeZone
from schema.connections import COUNTED, IS_EXACT, PageInfo
from schema.departments import Department
from schema.locations import Location
from schema.node import Node, rows_of
from schema.shifts import Shift, ShiftPlan
from schema.stats import StatMetrics
from schema.zoned_time import ZonedTime

if TYPE_CHECKING:
    from schema.days import AttendanceDay
    from schema.punches import Punch


@strawberry.type(description="Where an employee is, and since when.")
class Presence:
    is_type_of = rows_of(resolve.Presence)
    state: PresenceState = strawberry.field(description="Where, as far as punches and plans say.")
    since: ZonedTime | None = strawberry.field(description="The punch that says so; null without one.")


@strawberry.type(description="An employee with today's place in the company. Analysts see pseudonyms, in lists only.")
class Employee(Node):
    is_type_of = rows_of(EmployeeRow)
    employee_no: str = strawberry.field(description="The number in the company, unique in any case.")
    full_name: str = strawberry.field(description="The full name.")
    email: str | None = strawberry.field(description="The email address; null under a pseudonym.")
    badge_no: str | None = strawberry.field(description="The badge that punch clocks read; null under a pseudonym.")
    status: EmployeeStatus = strawberry.field(description="Whether the employee works here.")
    employment_type: EmploymentType = strawberry.field(description="How the employee is employed.")
    designation: str | None = strawberry.field(description="What the employee does; null under a pseudonym.")
    time_zone: TimeZone = strawberry.field(description="The employee's zone: an own one, or else the location's.")
    hired_on: date = strawberry.field(description="The first day of employment; under a pseudonym that of its year.")
    left_on: date | None = strawberry.field(
        description="The last day of employment; null while it lasts; under a pseudonym that of its year."
    )
    version: int = strawberry.field(description="Rises with every change; for `expectedVersion`.")
    department = strawberry.field(
        resolver=resolve.department, graphql_type=Department, description="Today's department."
    )
    location = strawberry.field(resolver=resolve.location, graphql_type=Location, description="Today's location.")
    shift = strawberry.field(resolver=resolve.shift, graphql_type=Shift | None, description="The default shift.")
    manager = strawberry.field(
        resolver=resolve.manager,
        graphql_type=Annotated["Employee", strawberry.lazy("schema.employees")] | None,
        description="Who the employee reports to today; null when nobody or the viewer does not see them by name.",
    )
    reports = strawberry.field(
        resolver=resolve.reports,
        graphql_type=Annotated["EmployeeConnection", strawberry.lazy("schema.employees")],
        description="Who reports to the employee today, as far as the viewer may see, by name.",
    )
    attendance = strawberry.field(
        resolver=resolve.attendance,
        graphql_type=list[Annotated["AttendanceDay", strawberry.lazy("schema.days")]],
        description="The employee's days, the latest first.",
    )
    punches = strawberry.field(
        resolver=resolve.punches,
        graphql_type=list[Annotated["Punch", strawberry.lazy("schema.punches")]],
        description="All of the employee's punches on the dates of their own clock, those of no day as well, "
        "the latest first.",
    )
    schedule = strawberry.field(
        resolver=resolve.schedule,
        graphql_type=list[ShiftPlan],
        description="The employee's plans by date, future ones as well.",
    )
    summary = strawberry.field(
        resolver=resolve.summary,
        graphql_type=StatMetrics,
        description="Figures of the employee's days; suppressed under a pseudonym.",
    )
    presence = strawberry.field(
        resolver=resolve.presence, graphql_type=Presence, description="Where the employee is now."
    )


@strawberry.type(description="An employee in a list.")
class EmployeeEdge:
    cursor: str = strawberry.field(description="Where in the list.")
    node: Employee = strawberry.field(description="The employee.")


@strawberry.type(description="A page of a list of employees.")
class EmployeeConnection:
    edges: list[EmployeeEdge] = strawberry.field(description="The employees with their cursors.")
    nodes: list[Employee] = strawberry.field(description="The employees.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in its list.")
    total_count = strawberry.field(resolver=connections.total_count, description=COUNTED)
    total_count_is_exact = strawberry.field(resolver=connections.total_count_is_exact, description=IS_EXACT)
