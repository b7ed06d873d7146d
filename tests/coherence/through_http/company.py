"""The company of the fault run: 80 people of four departments who have been absent all the time, and five viewers."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from db.database import Database
from db.migrate import upgrade
from db.roll_up import refresh_all_stats
from domain.enums import Role
from domain.ids import DepartmentId, EmployeeId, LocationId, ShiftId, UserId
from tests.coherence.through_http.stand import PostgreSQL
from tests.kit.rows import Rows
from web.signing_key import kept_key
from web.tokens import Tokens

DEPARTMENTS: Final = 4
IN_EACH: Final = 20
DAYS: Final = 170
"""On each of which each of them may come once: for what a million operations hand in."""
VIEWERS: Final = ("hr", "manager", "employee", "analyst", "device")
TRAIL: Final = """
    CREATE TABLE torture_trail (employee_id bigint, version int, run_id text);
    CREATE FUNCTION torture_trail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO torture_trail VALUES (NEW.id, NEW.version, NEW.full_name); RETURN NEW; END $$;
    CREATE TRIGGER torture_trail AFTER UPDATE ON employee FOR EACH ROW EXECUTE FUNCTION torture_trail();"""
"""What every name was once, under which version: an acknowledged one that is missing was lost."""


class Company(msgspec.Struct, frozen=True):
    """Who and what there is; dates are those of the one time zone, in which it is noon when the run begins."""

    zone: str
    today: date
    began_on: date
    """By UTC, at whose midnight the 31 days of open exceptions move on."""
    token_by_viewer: dict[str, str]

    def employees(self, department: int) -> list[int]:
        """Keys of the people of a department; those of the first one are the manager and his people."""
        return [
            number for number in range(1, DEPARTMENTS * IN_EACH + 1) if (number - 1) % DEPARTMENTS + 1 == department
        ]

    def instant(self, day: date, minutes: float) -> str:
        """So many minutes after midnight of a date."""
        at = datetime.combine(day, datetime.min.time(), ZoneInfo(self.zone)) + timedelta(minutes=minutes)
        return at.astimezone(UTC).isoformat()

    @property
    def past(self) -> list[date]:
        """The dates of the run, oldest first."""
        return [self.today - timedelta(days=ago) for ago in range(DAYS - 1, 0, -1)]


def department_of(employee: int) -> int:
    """The department that an employee was put into."""
    return (employee - 1) % DEPARTMENTS + 1


def zone_at_noon(now: datetime) -> str:
    """A zone in which it is about noon: nothing that depends on the date changes within hours."""
    ahead = 12 - now.hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


async def found_company(postgres: PostgreSQL, folder: Path, now: datetime) -> Company:
    """Fill the database and sign everybody in."""
    url = postgres.url.replace("postgresql://", "postgresql+asyncpg://")
    await upgrade(url)
    zone = zone_at_noon(now)
    today = now.astimezone(ZoneInfo(zone)).date()
    database = Database(url)
    try:
        async with database.transaction() as connection:
            rows = Rows(connection)
            await _fill(rows, zone, today)
            first = today - timedelta(days=DAYS)
            people = [EmployeeId(number) for number in range(1, DEPARTMENTS * IN_EACH + 1)]
            await rows.derive(people, first, today, now)
            await refresh_all_stats(connection, first, today)
    finally:
        await database.close()
    await postgres.run_as_owner(f"{TRAIL} GRANT SELECT, INSERT ON torture_trail TO app; ANALYZE")
    tokens = Tokens(kept_key(folder / "auth.key"), audience="rollcall-api", access_ttl=timedelta(days=1))
    signed = {name: tokens.issue(number, 0, now).access_token for number, name in enumerate(VIEWERS, 1)}
    return Company(zone, today, now.date(), signed)


async def _fill(rows: Rows, zone: str, today: date) -> None:
    hired_on = today - timedelta(days=DAYS)
    await rows.partitions(hired_on, today)
    location = await rows.location("HQ", zone, await rows.work_week("NONE"))
    await rows.device("T-1", LocationId(location))
    for number in range(DEPARTMENTS):
        await rows.department(f"D{number + 1}")
    shift = await rows.shift("DAY")
    await rows.rule(shift)
    for number in range(1, DEPARTMENTS * IN_EACH + 1):
        department = DepartmentId(department_of(number))
        name, badge = f"E{number:03}", f"B{number:03}"

        await rows.employee(
            name, department, location, shift=ShiftId(shift), hired_on=hired_on, employee_no=name, badge_no=badge
        )
    await rows.lead(DepartmentId(1), EmployeeId(1))
    await rows.user("hr@rollcall.test", None, Role.HR)
    await rows.user("manager@rollcall.test", EmployeeId(1), Role.EMPLOYEE, Role.MANAGER)
    await rows.user("employee@rollcall.test", EmployeeId(5), Role.EMPLOYEE)
    await rows.user("analyst@rollcall.test", None, Role.ANALYST)
    assert await rows.user("device@rollcall.test", None, Role.DEVICE) == UserId(len(VIEWERS))
