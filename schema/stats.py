"""Figures as the API shows them."""

from datetime import datetime, time
from typing import TYPE_CHECKING, Annotated, Union

import strawberry

from resolvers import metrics as resolve
from resolvers import stats
from resolvers.stats import Dimension
from schema.departments import Department
from schema.leave_types import LeaveType
from schema.locations import Location
from schema.node import rows_of
from schema.shifts import Shift

if TYPE_CHECKING:
    from schema.employees import Employee


@strawberry.type(description="Figures of a set of days. Times are hours; a rate over nothing is null.")
class StatMetrics:
    is_type_of = rows_of(resolve.Metrics)
    headcount = strawberry.field(resolver=resolve.headcount, description="Distinct employees.")
    scheduled_days: float = strawberry.field(description="Days with work, leave or absence on the plan, in halves.")
    present_days: float = strawberry.field(description="Days present, in halves.")
    absent_days: float = strawberry.field(description="Days absent, in halves.")
    leave_days: float = strawberry.field(description="Days on leave, in halves.")
    off_days: float = strawberry.field(description="Days off by work week or holiday, in halves.")
    late_count: int = strawberry.field(description="Days late.")
    early_exit_count: int = strawberry.field(description="Days left early.")
    incomplete_count: int = strawberry.field(description="Days with a missing punch that nobody decided about.")
    pending_count: int = strawberry.field(description="Days that can still change.")
    remote_count: int = strawberry.field(description="Days worked elsewhere.")
    worked_hours: float = strawberry.field(description="Hours worked.")
    expected_hours: float = strawberry.field(description="Hours expected.")
    late_hours: float = strawberry.field(description="Hours late.")
    overtime_hours: float = strawberry.field(description="Hours of overtime.")
    overtime_approved_hours: float = strawberry.field(description="Hours of overtime that somebody approved.")
    attendance_rate: float | None = strawberry.field(description="Present / scheduled.")
    absenteeism_rate: float | None = strawberry.field(description="Absent / scheduled.")
    punctuality_rate: float | None = strawberry.field(description="Present days that were not late / present days.")
    utilisation_rate: float | None = strawberry.field(description="Worked / expected.")
    average_first_in: time | None = strawberry.field(description="The mean of the first IN by the wall clock.")
    suppressed: bool = strawberry.field(
        description="True: kept back, for the viewer sees figures of at least five people or of people seen by name. "
        "All of them are zero then."
    )


DimensionNode = Annotated[
    Union[  # noqa: UP007 (strawberry.lazy cannot be part of a | at run time)
        Department, Location, Shift, Annotated["Employee", strawberry.lazy("schema.employees")], LeaveType
    ],
    strawberry.union("DimensionNode", description="The object that a key of a group stands for."),
]


@strawberry.type(description="One key of a group.")
class StatKey:
    dimension: Dimension = strawberry.field(description="The dimension.")
    value: str = strawberry.field(
        description="A global id, ISO date, ISO week, month or label; NONE for days that have none."
    )
    label: str = strawberry.field(
        description="The value in words; namesakes have their code or number beside the name."
    )
    node: DimensionNode | None = strawberry.field(description="The object that it stands for, where there is one.")


@strawberry.type(description="A group of days with its figures.")
class StatRow:
    keys: list[StatKey] = strawberry.field(description="What the days have in common, in the order of `groupBy`.")
    metrics: StatMetrics = strawberry.field(description="The figures.")
    previous: StatMetrics | None = strawberry.field(
        description="The figures of the same group in the period before, when asked for; never of groups by date."
    )


@strawberry.type(description="The answer to a statistical question.")
class StatResult:
    is_type_of = rows_of(stats.StatResult)
    rows: list[StatRow] = strawberry.field(description="The groups.")
    totals: StatMetrics = strawberry.field(description="Figures of all days, whatever bounds and limit say.")
    previous_totals: StatMetrics | None = strawberry.field(description="Totals of the period before, when asked for.")
    truncated: bool = strawberry.field(description="Whether there are more groups than `limit`.")
    as_of: datetime = strawberry.field(description="When this was true.")
    provisional: bool = strawberry.field(description="Whether some days of the period can still change.")
