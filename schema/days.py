"""Days of attendance as the API shows them."""

from datetime import date

import strawberry
from strawberry.scalars import JSON

from db.punches import ExplainedStep
from db.rows import DayRow
from domain.enums import AttendanceException, DayStatus, DayType, OvertimeKind, WorkMode
from resolvers import connections
from resolvers import days as resolve
from schema.connections import COUNTED, IS_EXACT, PageInfo
from schema.cost import Cost
from schema.departments import Department
from schema.employees import Employee
from schema.leave_types import LeaveType
from schema.locations import Location
from schema.node import Node, rows_of
from schema.punches import Punch
from schema.shifts import Shift
from schema.stats import StatMetrics
from schema.zoned_time import ZonedTime


@strawberry.type(description="One step of how a day was derived.")
class DerivationStep:
    is_type_of = rows_of(ExplainedStep)
    step: str = strawberry.field(
        description="Which step: rule, plan, clean, pair, worked, lateness, overtime, status, "
        "and where there are any override and unattributed."
    )
    detail: str = strawberry.field(description="What was decided, in words.")
    punches: list[Punch] = strawberry.field(description="The punches that it rests on.")
    value: JSON | None = strawberry.field(description="What it came to.")


@strawberry.type(description="An employee's day, derived from punches, plan, leave and decisions by the rules.")
class AttendanceDay(Node):
    is_type_of = rows_of(DayRow)
    work_date: date = strawberry.field(description="The date; a night shift belongs to the date that it begins on.")
    day_type: DayType = strawberry.field(description="What kind of day it is.")
    status: DayStatus = strawberry.field(description="What it came to.")
    work_mode: WorkMode = strawberry.field(description="Where work was done.")
    first_in_zoned: ZonedTime | None = strawberry.field(name="firstIn", description="The first coming.")
    last_out_zoned: ZonedTime | None = strawberry.field(
        name="lastOut", description="The last leaving; null while the last session is open."
    )
    expected_minutes: int = strawberry.field(description="Minutes expected.")
    worked_minutes: int = strawberry.field(description="Minutes worked, breaks taken off.")
    break_minutes: int = strawberry.field(description="Minutes of break.")
    late_minutes: int = strawberry.field(description="Minutes late.")
    early_exit_minutes: int = strawberry.field(description="Minutes left early.")
    overtime_minutes: int = strawberry.field(description="Minutes of overtime.")
    overtime_approved_minutes: int = strawberry.field(description="Minutes of overtime that somebody approved.")
    overtime_kind: OvertimeKind | None = strawberry.field(description="What kind of day the overtime was worked on.")
    present_days: float = strawberry.field(description="Days present: 0, 0.5 or 1.")
    leave_days: float = strawberry.field(description="Days on leave: 0, 0.5 or 1.")
    absent_days: float = strawberry.field(description="Days absent: 0, 0.5 or 1.")
    exceptions: list[AttendanceException] = strawberry.field(description="What was unusual.")
    locked: bool = strawberry.field(description="Whether its pay period is locked.")
    overridden: bool = strawberry.field(description="Whether somebody decided it against its punches.")
    version: int = strawberry.field(description="Rises with every change; for `expectedVersion`.")
    employee = strawberry.field(resolver=resolve.employee, graphql_type=Employee, description="Whose day.")
    shift = strawberry.field(resolver=resolve.shift, graphql_type=Shift | None, description="The shift of the day.")
    department = strawberry.field(
        resolver=resolve.department, graphql_type=Department, description="The department on that date."
    )
    location = strawberry.field(
        resolver=resolve.location, graphql_type=Location, description="The location on that date."
    )
    leave_type = strawberry.field(
        resolver=resolve.leave_type,
        graphql_type=LeaveType | None,
        description="The kind of leave on that date; null under a pseudonym.",
    )
    punches = strawberry.field(
        resolver=resolve.punches,
        graphql_type=list[Punch],
        description="The punches that the rules give to the day, and voided ones of its date, in the order of time.",
    )
    unattributed = strawberry.field(
        resolver=resolve.unattributed,
        graphql_type=list[Punch],
        description="Punches of the date that belong to no day, since they are in no window of any shift.",
    )
    explain = strawberry.field(
        resolver=resolve.explain,
        graphql_type=list[DerivationStep],
        description="Which rule, which punches and which step gave each number; empty under a pseudonym.",
        directives=[Cost(weight=5)],
    )


@strawberry.type(description="A day in a list.")
class AttendanceEdge:
    cursor: str = strawberry.field(description="Where in the list.")
    node: AttendanceDay = strawberry.field(description="The day.")


@strawberry.type(description="A page of a list of days.")
class AttendanceConnection:
    edges: list[AttendanceEdge] = strawberry.field(description="The days with their cursors.")
    nodes: list[AttendanceDay] = strawberry.field(description="The days.")
    page_info: PageInfo = strawberry.field(description="Where the page lies in its list.")
    total_count = strawberry.field(resolver=connections.total_count, description=COUNTED, directives=[Cost(weight=10)])
    total_count_is_exact = strawberry.field(resolver=connections.total_count_is_exact, description=IS_EXACT)
    totals = strawberry.field(
        resolver=resolve.totals, graphql_type=StatMetrics, description="Figures of all days of the list."
    )
