"""The root of queries."""

import strawberry

from resolvers import dashboard, days, departments, employees, leave_types, locations, month_grid, nodes, shifts, stats
from resolvers import users as users_
from schema.cost import Cost
from schema.dashboard import DashboardToday, MonthGrid
from schema.days import AttendanceConnection, AttendanceDay
from schema.departments import Department
from schema.employees import Employee, EmployeeConnection
from schema.leave_types import LeaveType
from schema.locations import Location
from schema.node import Node
from schema.shifts import Shift
from schema.stats import StatResult
from schema.users import User


@strawberry.type(description="Everything that can be asked.")
class Query:
    me = strawberry.field(resolver=users_.me, graphql_type=User, description="Who is signed in.")
    node = strawberry.field(
        resolver=nodes.node,
        graphql_type=Node | None,
        description="Any object by its global id; null when there is none that the viewer may see. Employees, their "
        "days and punches have to be seen by name.",
    )
    nodes = strawberry.field(
        resolver=nodes.nodes, graphql_type=list[Node | None], description="Many objects, in the order of their ids."
    )
    employee = strawberry.field(
        resolver=employees.employee,
        graphql_type=Employee | None,
        description="An employee by exactly one of id and number; null when the viewer sees none by name.",
    )
    employees = strawberry.field(
        resolver=employees.employees,
        graphql_type=EmployeeConnection,
        description="The employees whom the viewer may see.",
        directives=[Cost(weight=1, multiplier="first")],
    )
    departments = strawberry.field(
        resolver=departments.departments, graphql_type=list[Department], description="All departments by name."
    )
    locations = strawberry.field(
        resolver=locations.locations, graphql_type=list[Location], description="All locations by name."
    )
    shifts = strawberry.field(resolver=shifts.shifts, graphql_type=list[Shift], description="All shifts by name.")
    leave_types = strawberry.field(
        resolver=leave_types.leave_types, graphql_type=list[LeaveType], description="All kinds of leave by name."
    )
    attendance = strawberry.field(
        resolver=days.attendance,
        graphql_type=AttendanceConnection,
        description="Days of the employees whom the viewer may see.",
        directives=[Cost(weight=1, multiplier="first")],
    )
    attendance_day = strawberry.field(
        resolver=days.attendance_day,
        graphql_type=AttendanceDay | None,
        description="The day of an employee; null when there is none, or the viewer does not see them by name.",
    )
    stats = strawberry.field(
        resolver=stats.stats,
        graphql_type=StatResult,
        description="Figures of days by dimensions.",
        directives=[Cost(weight=20)],
    )
    today = strawberry.field(
        resolver=dashboard.today,
        graphql_type=DashboardToday,
        description="Today at a glance.",
        directives=[Cost(weight=10)],
    )
    month_grid = strawberry.field(
        resolver=month_grid.month_grid,
        graphql_type=MonthGrid,
        description="A month as a grid: an employee a row, a day a column.",
        directives=[Cost(weight=2, multiplier="first")],
    )
    users = strawberry.field(
        resolver=users_.users,
        graphql_type=list[User],
        description="Users by email address; for administrators and auditors.",
    )
