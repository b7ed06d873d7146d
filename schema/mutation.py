"""The root of mutations."""

import strawberry

from resolvers import (
    assign_shift,
    grants,
    mark_attendance,
    recompute,
    record_punches,
    save_department,
    save_employee,
    save_location,
    save_shift,
    save_shift_rule,
    void_punch,
)
from resolvers import check_in as checks
from resolvers import save_holiday as holidays
from schema.attendance_payloads import (
    AssignShiftPayload,
    CheckPayload,
    EmployeePayload,
    MarkAttendancePayload,
    RecomputePayload,
    RecordPunchesPayload,
)
from schema.organisation_payloads import (
    DepartmentPayload,
    HolidayPayload,
    LocationPayload,
    ShiftPayload,
    ShiftRulePayload,
)
from schema.user_payloads import UserPayload


@strawberry.type(description="Everything that can be changed. What a person can put right is in `userErrors`.")
class Mutation:
    check_in = strawberry.field(
        resolver=checks.check_in,
        graphql_type=CheckPayload,
        description="Punch IN, for oneself or within reach. `duplicate` tells whether it changed anything.",
    )
    check_out = strawberry.field(
        resolver=checks.check_out,
        graphql_type=CheckPayload,
        description="Punch OUT, for oneself or within reach. `duplicate` tells whether it changed anything.",
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
    save_department = strawberry.field(
        resolver=save_department.save_department,
        graphql_type=DepartmentPayload,
        description="Add, change or move a department.",
    )
    save_location = strawberry.field(
        resolver=save_location.save_location, graphql_type=LocationPayload, description="Add or change a location."
    )
    save_shift = strawberry.field(
        resolver=save_shift.save_shift, graphql_type=ShiftPayload, description="Add or change a shift."
    )
    save_shift_rule = strawberry.field(
        resolver=save_shift_rule.save_shift_rule,
        graphql_type=ShiftRulePayload,
        description="Let a shift have another rule from a date on; what came before stays.",
    )
    save_holiday = strawberry.field(
        resolver=holidays.save, graphql_type=HolidayPayload, description="Enter or change a holiday of a location."
    )
    remove_holiday = strawberry.field(
        resolver=holidays.remove, graphql_type=HolidayPayload, description="Remove a holiday of a location."
    )
    grant_role = strawberry.field(
        resolver=grants.grant_role, graphql_type=UserPayload, description="Give a user a role, or it another end."
    )
    revoke_role = strawberry.field(
        resolver=grants.revoke_role, graphql_type=UserPayload, description="Take a role back from a user."
    )
    set_user_active = strawberry.field(
        resolver=grants.set_user_active,
        graphql_type=UserPayload,
        description="Let a user sign in, or not any more.",
    )
