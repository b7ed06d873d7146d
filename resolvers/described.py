"""Arguments that many fields take, with the descriptions that the API shows for them."""

from datetime import date
from typing import Annotated, TypeAlias

import strawberry

from domain.enums import Role
from resolvers.inputs import AttendanceFilter, AttendanceOrder, EmployeeFilter, EmployeeOrder, OrgScope, PeriodInput

First: TypeAlias = Annotated[int | None, strawberry.argument(description="How many at most, from 0 to 500.")]
After: TypeAlias = Annotated[str | None, strawberry.argument(description="Only what follows this cursor.")]
Last: TypeAlias = Annotated[
    int | None, strawberry.argument(description="How many at most, counted from the end; `first` does not matter then.")
]
Before: TypeAlias = Annotated[str | None, strawberry.argument(description="Only what precedes this cursor.")]
Period: TypeAlias = Annotated[PeriodInput, strawberry.argument(description="Which dates.")]
Days: TypeAlias = Annotated[AttendanceFilter, strawberry.argument(description="Which days.")]
People: TypeAlias = Annotated[EmployeeFilter | None, strawberry.argument(description="Which employees.")]
Scope: TypeAlias = Annotated[OrgScope | None, strawberry.argument(description="Of whom; everyone by default.")]
Interval: TypeAlias = Annotated[
    int | None,
    strawberry.argument(
        name="minIntervalMs", description="Milliseconds between two messages at least, from 100 to 3,600,000."
    ),
]
Year: TypeAlias = Annotated[int, strawberry.argument(description="The calendar year, e.g. 2026.")]
Month: TypeAlias = Annotated[int, strawberry.argument(description="The month, from 1 to 12.")]
OfNoDay: TypeAlias = Annotated[
    bool | None, strawberry.argument(description="Only those that are not voided and belong to no day.")
]
GlobalId: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="A global id.")]
GlobalIds: TypeAlias = Annotated[list[strawberry.ID], strawberry.argument(description="Global ids, at most 200.")]
MaybeId: TypeAlias = Annotated[strawberry.ID | None, strawberry.argument(description="A global id.")]
EmployeeNo: TypeAlias = Annotated[str | None, strawberry.argument(description="The employee number, in any case.")]
Day: TypeAlias = Annotated[date, strawberry.argument(description="The work date.")]
RootsOnly: TypeAlias = Annotated[bool | None, strawberry.argument(description="Only departments without a parent.")]
EmployeeOrders: TypeAlias = Annotated[
    list[EmployeeOrder] | None, strawberry.argument(description="In which order; by name by default.")
]
AttendanceOrders: TypeAlias = Annotated[
    list[AttendanceOrder] | None, strawberry.argument(description="In which order; the latest first by default.")
]
UserSearch: TypeAlias = Annotated[str | None, strawberry.argument(description="A part of the email address.")]
RoleOnly: TypeAlias = Annotated[Role | None, strawberry.argument(description="Only users with this role.")]
