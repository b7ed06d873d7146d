"""Today's dashboard and the month grid as the API shows them."""

from datetime import date, datetime

import strawberry

from resolvers import dashboard as resolve
from resolvers import month_grid
from schema.connections import PageInfo
from schema.employees import Employee, EmployeeConnection
from schema.node import rows_of
from schema.stats import StatMetrics, StatRow


@strawberry.type(description="Today at a glance, each employee by their own zone's today.")
class DashboardToday:
    is_type_of = rows_of(resolve.DashboardToday)
    as_of: datetime = strawberry.field(description="When this was true.")
    in_now: int = strawberry.field(description="How many are at work, a night shift of yesterday as well.")
    totals = strawberry.field(resolver=resolve.totals, graphql_type=StatMetrics, description="Figures of everyone.")
    late_not_in = strawberry.field(
        resolver=resolve.late_not_in,
        graphql_type=list[Employee],
        description="Who should have come by now and has not, the earliest expected first; at most 500.",
    )
    on_leave = strawberry.field(
        resolver=resolve.on_leave, graphql_type=EmployeeConnection, description="Who is on leave today, by name."
    )
    pending_approvals = strawberry.field(
        resolver=resolve.pending, description="Requests that wait for a decision about people whom the viewer manages."
    )
    exceptions_open = strawberry.field(
        resolver=resolve.exceptions_open,
        description="Days of the last 31 with a missing punch or an unexplained absence that nobody decided about.",
    )
    by_department = strawberry.field(
        resolver=resolve.by_department, graphql_type=list[StatRow], description="Figures by department, by name."
    )


@strawberry.type(description="An employee's month.")
class MonthGridRow:
    is_type_of = rows_of(month_grid.MonthGridRow)
    employee: Employee = strawberry.field(description="The employee.")
    codes: list[str] = strawberry.field(
        description="One code a day: P present, HD half day, A absent, L leave, H holiday, W weekly off, "
        "MIS a punch is missing, PEND can still change, - no day."
    )
    totals: StatMetrics = strawberry.field(description="Figures of the month; suppressed under a pseudonym.")


@strawberry.type(description="A month as a grid: an employee a row, a day a column.")
class MonthGrid:
    is_type_of = rows_of(month_grid.MonthGrid)
    year: int = strawberry.field(description="The year.")
    month: int = strawberry.field(description="The month, from 1 to 12.")
    days: list[date] = strawberry.field(description="The columns.")
    rows: list[MonthGridRow] = strawberry.field(description="The rows, by name.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in the list of employees.")
