"""What the mutations of the organisation answer."""

import strawberry

from resolvers import save_department, save_holiday, save_location, save_shift, save_shift_rule
from schema.departments import Department
from schema.locations import Holiday, Location
from schema.node import rows_of
from schema.shifts import Shift, ShiftRule
from schema.user_errors import UserError

WRONG = "What the person at the keyboard can put right; empty when it was done."


@strawberry.type(description="What saveDepartment came to.")
class DepartmentPayload:
    is_type_of = rows_of(save_department.DepartmentPayload)
    department: Department | None = strawberry.field(description="As it is now; null when nothing was done.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What saveLocation came to.")
class LocationPayload:
    is_type_of = rows_of(save_location.LocationPayload)
    location: Location | None = strawberry.field(description="As it is now; null when nothing was done.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What saveShift came to.")
class ShiftPayload:
    is_type_of = rows_of(save_shift.ShiftPayload)
    shift: Shift | None = strawberry.field(description="As it is now; null when nothing was done.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What saveShiftRule came to, or would come to.")
class ShiftRulePayload:
    is_type_of = rows_of(save_shift_rule.ShiftRulePayload)
    rule: ShiftRule | None = strawberry.field(
        description="The version; of a dry run as it would be; null when nothing was done."
    )
    changed_days: int = strawberry.field(description="How many derived days changed, or would change.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)


@strawberry.type(description="What saveHoliday or removeHoliday came to.")
class HolidayPayload:
    is_type_of = rows_of(save_holiday.HolidayPayload)
    holiday: Holiday | None = strawberry.field(
        description="As it is now, or was until it was removed; null when nothing was done."
    )
    recomputed_days: int = strawberry.field(description="How many days were derived again.")
    user_errors: list[UserError] = strawberry.field(description=WRONG)
