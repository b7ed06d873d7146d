"""The root of mutations."""

import strawberry

from resolvers import assign_shift, mark_attendance, recompute, record_punches, save_employee, void_punch
from resolvers import check_in as checks
from schema.attendance_payloads import (
    AssignShiftPayload,
    CheckPayload,
    EmployeePayload,
    MarkAttendancePayload,
    RecomputePayload,
    RecordPunchesPayload,
)


@strawberry.type(description="Everything that can be changed. What a person can put right is in `userErrors`.")
class Mutation:
    check_in = strawberry.field(
        resolver=checks.check_in, graphql_type=CheckPayload, description="Punch IN, for oneself or within reach."
    )
    check_out = strawberry.field(
        resolver=checks.check_out, graphql_type=CheckPayload, description="Punch OUT, for oneself or within reach."
    )
    record_punches = strawberry.field(
        resolver=record_punches.record_punches,
        graphql_type=RecordPunchesPayload,
        description="Hand in punches of a device, in any order and as often as one likes.",
    )
    void_punch = strawberry.field(
        resolver=void_punch.void,
        graphql_type=CheckPayload,
        description="Take a punch out of account for good; it stays and shows why.",
    )
    mark_attendance = strawberry.field(
        resolver=mark_attendance.mark_attendance,
        graphql_type=MarkAttendancePayload,
        description="Decide days against their punches.",
    )
    assign_shift = strawberry.field(
        resolver=assign_shift.assign_shift,
        graphql_type=AssignShiftPayload,
        description="Assign a shift to employees for a range of dates.",
    )
    save_employee = strawberry.field(
        resolver=save_employee.save_employee,
        graphql_type=EmployeePayload,
        description="Add or change an employee; a change of place takes effect on a date.",
    )
    recompute = strawberry.field(
        resolver=recompute.recompute,
        graphql_type=RecomputePayload,
        description="Derive the days of a period again, of every employee who has a day within the filter.",
    )
