"""Input types that several operations share: periods, scopes, filters and orders."""

from datetime import date
from enum import StrEnum
from typing import NewType, TypeAlias

import strawberry
from strawberry import UNSET

from domain.enums import AttendanceException, DayStatus, EmployeeStatus, WorkMode
from domain.periods import RelativePeriod

ID: TypeAlias = strawberry.ID
TimeZone = NewType("TimeZone", str)
"""The name of an IANA time zone; schema/scalars.py says how it is written."""


class Direction(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


class AttendanceOrderField(StrEnum):
    WORK_DATE = "WORK_DATE"
    EMPLOYEE_NO = "EMPLOYEE_NO"
    EMPLOYEE_NAME = "EMPLOYEE_NAME"
    LATE_MINUTES = "LATE_MINUTES"
    WORKED_MINUTES = "WORKED_MINUTES"
    OVERTIME_MINUTES = "OVERTIME_MINUTES"
    FIRST_IN = "FIRST_IN"


class EmployeeOrderField(StrEnum):
    NAME = "NAME"
    EMPLOYEE_NO = "EMPLOYEE_NO"
    HIRED_ON = "HIRED_ON"
    DEPARTMENT = "DEPARTMENT"


@strawberry.input(description="A range of dates, both ends included.")
class DateRange:
    from_: date = strawberry.field(name="from", description="The first date.")
    to: date = strawberry.field(description="The last date; not before `from`.")


@strawberry.input(one_of=True, description="Which dates: exactly one of the fields.")
class PeriodInput:
    range: DateRange | None = strawberry.field(default=UNSET, description="These dates.")
    relative: RelativePeriod | None = strawberry.field(
        default=UNSET, description="A range as seen from today in the viewer's time zone."
    )
    pay_period_id: ID | None = strawberry.field(default=UNSET, description="The dates of a pay period.")


@strawberry.input(
    description="Whose attendance: every field that is given narrows the selection. Of days, department, location, "
    "shift and manager are those of the day, as they were."
)
class OrgScope:
    department_ids: list[ID] | None = strawberry.field(default=UNSET, description="In these departments.")
    include_subdepartments: bool | None = strawberry.field(
        default=True, description="Whether departments below the named ones count as well."
    )
    location_ids: list[ID] | None = strawberry.field(default=UNSET, description="At these locations.")
    shift_ids: list[ID] | None = strawberry.field(default=UNSET, description="On these shifts.")
    manager_id: ID | None = strawberry.field(
        default=UNSET, description="Reporting to this employee; finds only people whom the viewer sees by name."
    )
    employee_ids: list[ID] | None = strawberry.field(
        default=UNSET, description="These employees; finds only people whom the viewer sees by name."
    )
    my_team: bool | None = strawberry.field(default=UNSET, description="True: reporting to the viewer.")


@strawberry.input(description="Which days.")
class AttendanceFilter:
    period: PeriodInput = strawberry.field(description="Of which dates.")
    scope: OrgScope | None = strawberry.field(default=UNSET, description="Of whom.")
    statuses: list[DayStatus] | None = strawberry.field(default=UNSET, description="With one of these statuses.")
    exceptions: list[AttendanceException] | None = strawberry.field(
        default=UNSET, description="With any of these exceptions."
    )
    late_minutes_gte: int | None = strawberry.field(default=UNSET, description="At least so many minutes late.")
    overtime_minutes_gte: int | None = strawberry.field(
        default=UNSET, description="At least so many minutes of overtime."
    )
    work_modes: list[WorkMode] | None = strawberry.field(default=UNSET, description="Worked in one of these ways.")
    overtime_unapproved: bool | None = strawberry.field(
        default=UNSET, description="True: with overtime that nobody approved yet; false: with approved overtime."
    )


@strawberry.input(description="Which employees.")
class EmployeeFilter:
    search: str | None = strawberry.field(
        default=UNSET,
        description="A part of the name, number or email address, in any case; of people whom the viewer sees by name.",
    )
    scope: OrgScope | None = strawberry.field(default=UNSET, description="Where they belong today.")
    statuses: list[EmployeeStatus] | None = strawberry.field(default=UNSET, description="With one of these statuses.")
    hired_in: DateRange | None = strawberry.field(default=UNSET, description="Hired on one of these dates.")
    active_on: date | None = strawberry.field(default=UNSET, description="Hired by that date and not gone before it.")


@strawberry.input(description="An order of days; ties go by date and employee.")
class AttendanceOrder:
    field: AttendanceOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(default=Direction.DESC, description="Rising or falling.")


@strawberry.input(description="An order of employees; ties go by id.")
class EmployeeOrder:
    field: EmployeeOrderField = strawberry.field(description="By what.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Rising or falling.")
