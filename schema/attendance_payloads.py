"""What mutations of attendance answer."""

import strawberry

from resolvers import assign_shift, check_in, mark_attendance, recompute, record_punches, save_employee
from schema.days import AttendanceDay
from schema.employees import Employee
from schema.node import rows_of
from schema.punches import Punch
from schema.user_errors import UserError

WRONG = "What was wrong; empty when all went well."


@strawberry.type(description="What a check-in, a check-out or the voiding of a punch came to.")
class CheckPayload:
    is_type_of = rows_of(check_in.CheckPayload)
    punch: Punch | None = strawberry.field(description="The punch.")
    day: AttendanceDay | None = strawberry.field(
        description="The day that it belongs to; null for a punch in no window. A voided one: the day that shows it."
    )
    unattributed: bool = strawberry.field(
        description="Whether the punch is in no window of any shift and so belongs to no day: "
        "presence follows it, no figure does."
    )
    duplicate: bool = strawberry.field(
        description="Whether the punch counts as the same badge read twice, since one of the same or of unknown "
        "direction came at most the rule's `dedupeSeconds` before: it is recorded and raises DUPLICATE_PUNCH, and "
        "neither presence nor any figure follows it. If it was meant, check again once that time is over."
    )
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What came of a device's punches.")
class RecordPunchesPayload:
    is_type_of = rows_of(record_punches.RecordPunchesPayload)
    accepted: int = strawberry.field(description="How many were new.")
    duplicates: int = strawberry.field(description="How many were known already.")
    unmatched: int = strawberry.field(description="How many are kept because nobody has their badge yet.")
    locked: int = strawberry.field(
        description="How many of the new ones are of locked days, which stay as they are; `userErrors` names each."
    )
    user_errors: list[UserError] = strawberry.field(
        description="What was wrong: then none is recorded. Only beside PERIOD_LOCKED all are."
    )


@strawberry.type(description="The days that were decided.")
class MarkAttendancePayload:
    is_type_of = rows_of(mark_attendance.MarkAttendancePayload)
    days: list[AttendanceDay] = strawberry.field(description="The days as they are now.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What assigning a shift came to.")
class AssignShiftPayload:
    is_type_of = rows_of(assign_shift.AssignShiftPayload)
    employees: list[Employee] = strawberry.field(description="Who got the shift.")
    recomputed_days: int = strawberry.field(description="How many days were derived again.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="The employee that was saved.")
class EmployeePayload:
    is_type_of = rows_of(save_employee.EmployeePayload)
    employee: Employee | None = strawberry.field(description="The employee as they are now.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What deriving days again came to.")
class RecomputePayload:
    is_type_of = rows_of(recompute.RecomputePayload)
    days: int = strawberry.field(description="How many days were derived again.")
    changed: int = strawberry.field(description="How many of them came out differently.")
    sample: list[AttendanceDay] = strawberry.field(description="Some of those, as they came out.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)
