"""The small company that most tests ask about: 14 people in three zones, three weeks and today, all keys known.

It is Tuesday 2026-03-17, 10:30 in Mumbai, 06:00 in Berlin, 01:00 in New York, where a night shift is under way.
Punches before 2026-03-16 follow a formula; the last two days are told one by one.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from db.database import Database
from domain.enums import HalfOfDay, PunchDirection, PunchSource, Role
from domain.ids import DepartmentId, EmployeeId, LeaveTypeId, LocationId, ShiftId
from domain.permission import Grant
from tests.kit.rows import Rows

NOW: Final = datetime(2026, 3, 17, 5, tzinfo=UTC)
TODAY: Final = date(2026, 3, 17)
FIRST: Final = date(2026, 2, 23)

MUMBAI, BERLIN, NEW_YORK = (LocationId(n) for n in range(1, 4))
COMPANY, ENGINEERING, BACKEND, FRONTEND, OPERATIONS, GATE, LAB = (DepartmentId(n) for n in range(1, 8))
DAY, NIGHT, FLEX = (ShiftId(n) for n in range(1, 4))
CASUAL, SICK = (LeaveTypeId(n) for n in range(1, 3))
ADA, ALAN, GRACE, LINUS, ALEX, OTHER_ALEX, MIA, OMAR, NINA, PAUL, ZOE, LEO, INES, TESS = (
    EmployeeId(n) for n in range(1, 15)
)
EVERYBODY: Final = (ADA, ALAN, GRACE, LINUS, ALEX, OTHER_ALEX, MIA, OMAR, NINA, PAUL, ZOE, LEO, INES, TESS)

ADMIN: Final = "admin@rollcall.test"
HR: Final = "hr@rollcall.test"
HR_OPERATIONS: Final = "hr.operations@rollcall.test"
PAYROLL_MUMBAI: Final = "payroll.mumbai@rollcall.test"
MANAGER: Final = "manager@rollcall.test"
ANALYST: Final = "analyst@rollcall.test"
AUDITOR: Final = "auditor@rollcall.test"
EMPLOYEE: Final = "employee@rollcall.test"
DEVICE: Final = "device@rollcall.test"
EXPIRED: Final = "expired@rollcall.test"

IN, OUT, BREAK_START = PunchDirection.IN, PunchDirection.OUT, PunchDirection.BREAK_START


async def fill_small_company(url: str) -> None:
    """Write all of it into a migrated database."""
    database = Database(url)
    async with database.transaction() as connection:
        rows = Rows(connection)
        await rows.partitions(FIRST, TODAY)
        await _places(rows)
        await _shifts(rows)
        await _people(rows)
        await _users(rows)
        for employee in EVERYBODY:
            await _usual_punches(rows, employee)
        await _yesterday(rows)
        await _today(rows)
        await rows.derive(EVERYBODY, FIRST, TODAY, NOW)
    await database.close()


async def _places(rows: Rows) -> None:
    weekend = await rows.work_week("WEEKEND", (6, 31), (7, 31))
    alternating = await rows.work_week("ALTERNATING", (6, 0b01010), (7, 31))  # the 2nd and the 4th Saturday
    await rows.location("MUM", "Asia/Kolkata", alternating, "Mumbai")
    await rows.location("BER", "Europe/Berlin", weekend, "Berlin")
    await rows.location("NYC", "America/New_York", weekend, "New York")
    await rows.holiday(MUMBAI, date(2026, 3, 4), "Holi")
    await rows.holiday(MUMBAI, date(2026, 3, 19), "Gudi Padwa", optional=True)
    await rows.holiday(MUMBAI, date(2025, 10, 20), "Diwali")
    await rows.holiday(BERLIN, date(2026, 3, 6), "Inventory", HalfOfDay.SECOND)
    await rows.device("MUM-1", MUMBAI)
    await rows.device("NYC-1", NEW_YORK)
    company = await rows.department("COMP", name="Company")
    engineering = await rows.department("ENG", company, "Engineering")
    await rows.department("BACK", engineering, "Backend")
    await rows.department("FRONT", engineering, "Frontend")
    operations = await rows.department("OPS", company, "Operations")
    await rows.department("GATE", operations, "Gate")
    await rows.department("LAB", name="Lab")


async def _shifts(rows: Rows) -> None:
    await rows.shift("DAY", "Day", "#1f77b4")
    await rows.rule(DAY, last=date(2026, 3, 8))
    await rows.rule(DAY, date(2026, 3, 9), grace_in_minutes=5)
    await rows.shift("NIGHT", "Night")
    await rows.rule(NIGHT, start_time=time(22), end_time=time(6), break_minutes=30)
    await rows.shift("FLEX", "Flexible")
    await rows.rule(FLEX, is_flexible=True, expected_minutes=420)
    await rows.leave_type("CL", "Casual leave")
    await rows.leave_type("SL", "Sick leave", paid=False)


async def _people(rows: Rows) -> None:
    await rows.employee("Ada Lovelace", COMPANY, MUMBAI, shift=DAY, email="ada@rollcall.test", designation="Director")
    await rows.employee("Alan Turing", ENGINEERING, MUMBAI, manager=ADA, shift=DAY)
    await rows.employee("Grace Hopper", BACKEND, MUMBAI, manager=ALAN, shift=DAY, badge_no="B-3")
    await rows.employee("Linus Berg", BACKEND, BERLIN, manager=GRACE, shift=FLEX, hired_on=date(2025, 6, 1))
    await rows.employee("Alex Kim", BACKEND, MUMBAI, manager=GRACE, shift=DAY)
    await rows.employee("Alex Kim", FRONTEND, BERLIN, manager=ALAN, shift=DAY, hired_on=date(2025, 6, 1))
    await rows.employee("Mia Chen", FRONTEND, MUMBAI, manager=ALAN, shift=DAY, employment_type="PART_TIME")
    await rows.employee("Omar Diaz", OPERATIONS, NEW_YORK, manager=ADA, shift=DAY)
    await rows.employee("Nina Night", GATE, NEW_YORK, manager=OMAR, shift=NIGHT)
    await rows.employee("Paul Gate", GATE, NEW_YORK, manager=OMAR, shift=NIGHT, employment_type="CONTRACT")
    await rows.employee("Zoe Lab", LAB, BERLIN, shift=DAY, time_zone="Asia/Kolkata")
    left_on = date(2026, 3, 6)
    await rows.employee("Leo Left", FRONTEND, MUMBAI, manager=ALAN, shift=DAY, left_on=left_on, status="TERMINATED")
    moved = date(2026, 3, 9)
    await rows.employee("Ines Move", BACKEND, MUMBAI, manager=GRACE, shift=DAY, posted_from=moved)
    await rows.posting(INES, date(2025, 1, 1), moved - timedelta(days=1), FRONTEND, MUMBAI, ALAN)
    await rows.employee("Tess New", BACKEND, MUMBAI, manager=GRACE, hired_on=date(2026, 3, 16))
    for department, leader in {COMPANY: ADA, ENGINEERING: ALAN, BACKEND: GRACE, OPERATIONS: OMAR}.items():
        await rows.lead(department, leader)


async def _users(rows: Rows) -> None:
    await rows.user(ADMIN, None, Role.ADMIN)
    await rows.user(HR, None, Role.HR)
    await rows.user(HR_OPERATIONS, None, Grant(Role.HR, department_id=OPERATIONS))
    await rows.user(PAYROLL_MUMBAI, None, Grant(Role.PAYROLL, location_id=MUMBAI))
    await rows.user(MANAGER, ALAN, Role.EMPLOYEE, Role.MANAGER)
    await rows.user(ANALYST, None, Role.ANALYST)
    await rows.user(AUDITOR, None, Role.AUDITOR)
    await rows.user(EMPLOYEE, MIA, Role.EMPLOYEE)
    await rows.user(DEVICE, None, Grant(Role.DEVICE, location_id=MUMBAI))
    await rows.user(EXPIRED, LEO, Role.EMPLOYEE, Grant(Role.HR, expires_at=NOW - timedelta(hours=1)))


async def _usual_punches(rows: Rows, employee: EmployeeId) -> None:
    """Weekdays before the last two: a little early or late, absent now and then."""
    if employee == TESS:
        return
    last = date(2026, 3, 6) if employee == LEO else date(2026, 3, 15)
    for day in _weekdays(FIRST, last):
        number = day.toordinal()
        if (employee + number) % 11 == 0:
            continue
        begin, hours = (time(22), 8) if employee in (NINA, PAUL) else (time(9), 9)
        start = datetime.combine(day, begin)
        came = start + timedelta(minutes=(employee * 7 + number) % 30 - 8)
        went = start + timedelta(hours=hours, minutes=(employee * 5 + number * 3) % 60 - 15)
        await rows.punch(employee, came.isoformat(), IN)
        await rows.punch(employee, went.isoformat(), OUT)


def _weekdays(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        if day.isoweekday() <= 5:
            yield day


async def _yesterday(rows: Rows) -> None:
    """Monday: Ada absent, Alan on leave, Alex 20 minutes late, Mia without an OUT, Ines at home and gone early."""
    await rows.leave(ALAN, CASUAL, date(2026, 3, 16))
    await _pair(rows, GRACE, "2026-03-16T09:03", "2026-03-16T18:04")
    await _pair(rows, ALEX, "2026-03-16T09:20", "2026-03-16T18:00")
    await rows.punch(MIA, "2026-03-16T09:00", IN, device_id=1)
    for at, direction in (("2026-03-16T09:00", IN), ("2026-03-16T17:00", OUT)):
        await rows.punch(INES, at, direction, PunchSource.WEB)
    for employee in (LINUS, OTHER_ALEX, ZOE, OMAR):
        await _pair(rows, employee, "2026-03-16T09:00", "2026-03-16T18:00")
    await rows.punch(NINA, "2026-03-16T22:00", IN)


async def _today(rows: Rows) -> None:
    """Tuesday until 10:30 in Mumbai: Alex and Ines are late and not in."""
    await rows.leave(MIA, SICK, TODAY)
    await rows.leave(ALEX, CASUAL, date(2026, 3, 20), status="PENDING")
    await _pair(rows, ADA, "2026-03-17T08:55", "2026-03-17T10:00")
    await rows.punch(ALAN, "2026-03-17T09:00", IN)
    await rows.punch(ALAN, "2026-03-17T10:00", BREAK_START)
    await rows.punch(GRACE, "2026-03-17T09:00", IN, note="by the back door")
    await rows.punch(ZOE, "2026-03-17T09:12", IN)


async def _pair(rows: Rows, employee: EmployeeId, came: str, went: str) -> None:
    await rows.punch(employee, came, IN)
    await rows.punch(employee, went, OUT)
