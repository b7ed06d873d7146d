"""What is known of employees around some dates: read once, then asked and derived from without another statement."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import select

from db import tables
from db.connection import Query, ReadConnection
from db.facts import company_facts, employee_facts
from db.parameters import among, day
from db.rows import DayRow, PunchRow, columns_of
from domain.attendance.plan import PunchFact
from domain.attendance.presence import Sighting, presence_of
from domain.attendance.work_days import NO_SHIFT, Company, EmployeeFacts, dates_touched, work_days
from domain.enums import PresenceState
from domain.ids import DayKey, EmployeeId
from domain.periods import ONE_DAY

BESIDE: Final = timedelta(days=2)
"""How far a changed plan or punch can move the punches of days beside it: windows end where the next one opens."""
LOOK_BACK: Final = timedelta(days=3)
"""How old a day may be whose punches say where somebody is: a session lasts a day at most, and zones differ by one."""

_DAY: Final = tables.attendance_day
_EXISTING: Final = Query(
    "day_existing",
    select(*columns_of(_DAY, DayRow)).where(
        among(_DAY.c.employee_id, "ids"), _DAY.c.work_date.between(day("first"), day("last"))
    ),
)


class KnownDays(msgspec.Struct, frozen=True):
    """The facts of employees for their days from `first` to `last`, and those days as they are stored.

    Days up to `beside` before and after them are known as well.
    """

    first: date
    last: date
    beside: timedelta
    company: Company
    employees: Sequence[EmployeeFacts]
    stored: Mapping[DayKey, DayRow]

    @property
    def around(self) -> tuple[date, date]:
        """The first and the last date of which anything is known."""
        return self.first - self.beside, self.last + self.beside

    @property
    def locked(self) -> set[DayKey]:
        """The days that stay as they are."""
        return {key for key, row in self.stored.items() if row.locked}


class KnownEmployee(msgspec.Struct, frozen=True):
    """The attendance of one employee, of whom a punch is about to be made or voided."""

    days: KnownDays

    @property
    def facts(self) -> EmployeeFacts:
        """Everything about the employee."""
        [found] = self.days.employees
        return found

    def next_instant(self, at: datetime, within: timedelta) -> datetime:
        """`at`, or right after the punches from then until `within` later: what is done next comes next."""
        latest = max((punch.at for punch in self.facts.punches if at <= punch.at <= at + within), default=None)
        return at if latest is None else latest + timedelta(microseconds=1)

    def presence_at(self, at: datetime) -> PresenceState | None:
        """Where the punches up to `at` leave the employee; None when the last session cannot be open any more."""
        first, last = at.date() - LOOK_BACK, at.date() + ONE_DAY
        rows = [row for row in self.days.stored.values() if first <= row.work_date <= last]
        seen = list(filter(None, map(self._sighting, rows)))
        if any(
            sighting.since >= at.replace(second=0, microsecond=0) for sighting in seen
        ):  # they are cut to the minute
            seen = self._as_it_was(at, first, last)
        return presence_of(seen, at)

    def with_punch(self, punch: PunchRow) -> "KnownEmployee":
        """The same once the punch is made."""
        made = PunchFact(punch.punched_at, punch.direction, punch.id, punch.source, punch.outside_geofence)
        return self._with_punches([*self._without(punch), made])

    def without_punch(self, punch: PunchRow) -> "KnownEmployee":
        """The same once the punch is voided."""
        return self._with_punches(self._without(punch))

    def locked_by(self, punch: PunchRow) -> set[date]:
        """The locked dates whose punches would be others without this one."""
        locked = {date for _, date in self.days.locked}
        if not locked:
            return set()
        return locked & dates_touched(self.facts, self.days.company, punch.id, *self.days.around)

    def _sighting(self, row: DayRow) -> Sighting | None:
        if row.presence is None or row.presence_since is None:
            return None
        version = self.days.company.rule_by_id(row.shift_rule_id)
        rule = NO_SHIFT if version is None else version.rule
        return Sighting(row.work_date, row.presence, row.presence_since, timedelta(minutes=rule.max_session_minutes))

    def _as_it_was(self, at: datetime, first: date, last: date) -> list[Sighting]:
        """Where the days left the employee before the punches that came after `at`."""
        until = msgspec.structs.replace(self.facts, punches=[punch for punch in self.facts.punches if punch.at <= at])
        days = work_days(until, self.days.company, first, last, at)
        return [seen for day in days if (seen := day.sighting) is not None]

    def _without(self, punch: PunchRow) -> list[PunchFact]:
        return [known for known in self.facts.punches if known.id != punch.id]

    def _with_punches(self, punches: Sequence[PunchFact]) -> "KnownEmployee":
        facts = msgspec.structs.replace(self.facts, punches=punches)
        return KnownEmployee(msgspec.structs.replace(self.days, employees=[facts]))


async def known_days(
    connection: ReadConnection,
    ids: Sequence[EmployeeId],
    first: date,
    last: date,
    beside: timedelta,
    company: Company | None = None,
) -> KnownDays:
    """What is known of employees, whose locks who will change it has taken."""
    around = first - beside, last + beside
    company = company or await company_facts(connection, *around)
    facts = await employee_facts(connection, ids, *around)
    rows = await connection.all(_EXISTING, DayRow, ids=ids, first=around[0], last=around[1])
    return KnownDays(first, last, beside, company, facts, {row.key: row for row in rows})
