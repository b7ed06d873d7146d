"""Builders of real rows: each method inserts what it says and returns the key."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.days import Derivation, derive_days
from db.upkeep import make_partitions
from db.where import statement
from domain.attendance.plan import Rule
from domain.enums import HalfOfDay, PunchDirection, PunchSource, Role
from domain.ids import DepartmentId, EmployeeId, LeaveTypeId, LocationId, PunchId, ShiftId, ShiftRuleId, UserId
from domain.permission import Grant

HIRED_ON = date(2025, 1, 1)


class Rows:
    """Writes the rows of a company within one transaction."""

    def __init__(self, connection: WriteConnection) -> None:
        self.connection = connection
        self._zone_by_employee: dict[EmployeeId, ZoneInfo] = {}

    async def add(self, table: str, **values: Any) -> Any:
        """Insert a row; returns its first column."""
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        query = statement(f"add_{table}", f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING *")
        [record] = await self.connection.records(query, **values)
        return record[0]

    async def run(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Any statement."""
        return await self.connection.records(Query("kit", text(sql)), **parameters)

    async def partitions(self, first: date, last: date) -> None:
        """Make the partitions of the months from `first` to `last`."""
        await make_partitions(self.connection, first, last)

    async def work_week(self, code: str, *offs: tuple[int, int]) -> int:
        """A work week; each of `offs` is (ISO weekday, bits of the weeks of the month)."""
        week = await self.add("work_week", code=code, name=code)
        for weekday, weeks in offs:
            await self.add("work_week_off", work_week_id=week, iso_weekday=weekday, weeks_of_month=weeks)
        return int(week)

    async def location(self, code: str, time_zone: str, work_week: int, name: str | None = None) -> LocationId:
        """A location."""
        row = {"code": code, "name": name or code.title(), "time_zone": time_zone, "work_week_id": work_week}
        return LocationId(await self.add("location", **row))

    async def holiday(
        self, location: LocationId, day: date, name: str, half: HalfOfDay | None = None, *, optional: bool = False
    ) -> None:
        """A holiday of a location."""
        await self.add("holiday", location_id=location, date=day, name=name, half=half, optional=optional)

    async def department(self, code: str, parent: DepartmentId | None = None, name: str | None = None) -> DepartmentId:
        """A department."""
        return DepartmentId(await self.add("department", code=code, name=name or code.title(), parent_id=parent))

    async def lead(self, department: DepartmentId, employee: EmployeeId) -> None:
        """Make an employee the manager of a department."""
        await self.run("UPDATE department SET manager_id = :employee WHERE id = :id", employee=employee, id=department)

    async def shift(self, code: str, name: str | None = None, color: str | None = None) -> ShiftId:
        """A shift, still without a rule."""
        return ShiftId(await self.add("shift", code=code, name=name or code.title(), color=color))

    async def rule(
        self, shift: ShiftId, first: date = date(2020, 1, 1), last: date | None = None, **changes: Any
    ) -> ShiftRuleId:
        """A version of a shift's rule: the defaults of the contract, changed."""
        fields = msgspec.structs.asdict(Rule(**changes))
        return ShiftRuleId(await self.add("shift_rule", shift_id=shift, valid_from=first, valid_to=last, **fields))

    async def employee(
        self,
        full_name: str,
        department: DepartmentId,
        location: LocationId,
        *,
        manager: EmployeeId | None = None,
        shift: ShiftId | None = None,
        hired_on: date = HIRED_ON,
        left_on: date | None = None,
        posted_from: date | None = None,
        **fields: Any,
    ) -> EmployeeId:
        """An employee, posted from `posted_from` (or the hiring) on; `fields` are further columns."""
        placed = {"department_id": department, "location_id": location, "manager_id": manager}
        if "employee_no" not in fields:
            [(number,)] = await self.run("SELECT count(*) + 1 FROM employee")
            fields["employee_no"] = f"E{number:03}"
        dates = {"hired_on": hired_on, "left_on": left_on}
        id_ = EmployeeId(
            await self.add("employee", full_name=full_name, default_shift_id=shift, **placed, **dates, **fields)
        )
        await self.add(
            "employee_posting", employee_id=id_, valid_from=posted_from or hired_on, valid_to=left_on, **placed
        )
        return id_

    async def posting(
        self,
        employee: EmployeeId,
        first: date,
        last: date | None,
        department: DepartmentId,
        location: LocationId,
        manager: EmployeeId | None = None,
    ) -> None:
        """Where an employee belonged for a while."""
        placed = {"department_id": department, "location_id": location, "manager_id": manager}
        await self.add("employee_posting", employee_id=employee, valid_from=first, valid_to=last, **placed)

    async def assignment(
        self, employee: EmployeeId, shift: ShiftId, first: date, last: date | None = None, iso_weekdays: int = 127
    ) -> int:
        """A shift for a range of dates."""
        dates = {"valid_from": first, "valid_to": last, "iso_weekdays": iso_weekdays}
        return int(await self.add("shift_assignment", employee_id=employee, shift_id=shift, **dates))

    async def roster(self, employee: EmployeeId, day: date, shift: ShiftId | None) -> None:
        """A rostered date; without a shift explicitly off."""
        await self.add("roster_day", employee_id=employee, work_date=day, shift_id=shift)

    async def leave_type(self, code: str, name: str | None = None, *, paid: bool = True) -> LeaveTypeId:
        """A kind of leave."""
        return LeaveTypeId(await self.add("leave_type", code=code, name=name or code.title(), paid=paid))

    async def leave(
        self,
        employee: EmployeeId,
        leave_type: LeaveTypeId,
        first: date,
        last: date | None = None,
        *,
        halves: tuple[HalfOfDay, HalfOfDay] = (HalfOfDay.FIRST, HalfOfDay.SECOND),
        status: str = "APPROVED",
    ) -> int:
        """A leave request; `halves` are the half it begins and the half it ends with."""
        dates = {"start_date": first, "end_date": last or first, "start_half": halves[0], "end_half": halves[1]}
        row = {"employee_id": employee, "leave_type_id": leave_type, "status": status}
        return int(await self.add("leave_request", **row, **dates))

    async def device(self, code: str, location: LocationId) -> int:
        """A punch clock."""
        return int(await self.add("device", code=code, location_id=location))

    async def punch(
        self,
        employee: EmployeeId,
        at: datetime | str,
        direction: PunchDirection = PunchDirection.UNKNOWN,
        source: PunchSource = PunchSource.DEVICE,
        **fields: Any,
    ) -> PunchId:
        """A punch; a text is the wall clock of the employee's zone, like 2026-03-16T09:02."""
        instant = at if isinstance(at, datetime) else await self.instant(employee, at)
        row = {"employee_id": employee, "punched_at": instant, "direction": direction, "source": source}
        return PunchId(await self.add("punch", **row, **fields))

    async def instant(self, employee: EmployeeId, local: str) -> datetime:
        """The instant of a wall-clock time of an employee."""
        if employee not in self._zone_by_employee:
            sql = "SELECT coalesce(e.time_zone, l.time_zone) FROM employee e JOIN location l ON l.id = e.location_id"
            [(name,)] = await self.run(f"{sql} WHERE e.id = :id", id=employee)
            self._zone_by_employee[employee] = ZoneInfo(name)
        return datetime.fromisoformat(local).replace(tzinfo=self._zone_by_employee[employee])

    async def user(self, email: str, employee: EmployeeId | None = None, *grants: Role | Grant) -> UserId:
        """A user with roles; a bare role is for everyone."""
        user = UserId(await self.add("app_user", email=email, employee_id=employee))
        for grant in (given if isinstance(given, Grant) else Grant(given) for given in grants):
            await self.add("role_grant", user_id=user, **msgspec.structs.asdict(grant))
        return user

    async def derive(self, employees: Iterable[EmployeeId], first: date, last: date, now: datetime) -> Derivation:
        """Derive days from everything that was added."""
        return await derive_days(self.connection, employees, first, last, now)
