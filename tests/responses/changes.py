"""What can happen to a fresh company: one function a kind of change, by its real mutation where there is one."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from domain.enums import Role
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ANALYST,
    AUDITOR,
    BACKEND,
    DAY,
    EMPLOYEE,
    FRONTEND,
    GRACE,
    HR,
    INES,
    LAB,
    MANAGER,
    MIA,
    MUMBAI,
)
from tests.mutations.changing import department, employee, location, shift
from tests.responses.service import Service

Make = Callable[[Service], Awaitable[Any]]
ACTIVE: Final = (
    "mutation($id: ID!, $active: Boolean!) { setUserActive(userId: $id, active: $active) { userErrors { message } } }"
)


async def check_in(service: Service) -> None:
    await service.change("checkIn", HR, employeeId=employee(INES))


async def mark(service: Service) -> None:
    item = {"employeeId": employee(ADA), "date": "2026-03-16", "status": "PRESENT"}
    await service.change("markAttendance", HR, items=[item], reason="was at a customer's")


async def move(service: Service) -> None:
    await service.change("saveEmployee", HR, id=employee(GRACE), departmentId=department(LAB))


async def rename(service: Service) -> None:
    await service.change("saveEmployee", HR, id=employee(MIA), fullName="Mia Chen-Li")


async def regroup(service: Service) -> None:
    await service.change("saveDepartment", HR, id=department(BACKEND), parentId=department(LAB))


async def lead(service: Service) -> None:
    await service.change("saveDepartment", HR, id=department(FRONTEND), managerId=employee(MIA))


async def relocate(service: Service) -> None:
    await service.change("saveLocation", HR, id=location(MUMBAI), timeZone="Asia/Tokyo")


async def holiday(service: Service) -> None:
    await service.change("saveHoliday", HR, locationId=location(MUMBAI), date="2026-03-16", name="Rain")


async def rule(service: Service) -> None:
    begin = {"validFrom": "2026-03-18", "startTime": "10:00", "endTime": "19:00"}
    await service.change("saveShiftRule", HR, shiftId=shift(DAY), **begin)


async def paint(service: Service) -> None:
    await service.change("saveShift", HR, id=shift(DAY), color="#ff0000")


async def grant(service: Service) -> None:
    await service.change("grantRole", ADMIN, userId=await service.user_id(EMPLOYEE), role="HR")


async def revoke(service: Service) -> None:
    await service.change("revokeRole", ADMIN, userId=await service.user_id(MANAGER), role="MANAGER")


async def deactivate(service: Service) -> None:
    given = {"id": await service.user_id(AUDITOR), "active": False}
    found = await service.data(ACTIVE, ADMIN, given)
    assert found["setUserActive"]["userErrors"] == []


async def sign_out(service: Service) -> None:
    headers = {"Authorization": f"Bearer {await service.token(ANALYST)}"}
    assert (await service.client.reply("POST", "/auth/logout", headers=headers)).status == 204


async def import_leave(service: Service) -> None:
    async with service.rows() as rows:
        await rows.run("UPDATE leave_request SET status = 'REJECTED' WHERE employee_id = :id", id=MIA)
        await rows.run("UPDATE app_user SET employee_id = :new WHERE email = :email", new=GRACE, email=EMPLOYEE)


async def narrow(service: Service) -> None:
    async with service.rows() as rows:
        await rows.run("DELETE FROM role_grant WHERE role = 'ANALYST'")
        [(user,)] = await rows.run("SELECT id FROM app_user WHERE email = :email", email=ANALYST)
        await rows.add("role_grant", user_id=user, role=Role.ANALYST, department_id=BACKEND)


CHANGES: Final[dict[str, Make]] = {
    make.__name__: make
    for make in (
        check_in,
        mark,
        move,
        rename,
        regroup,
        lead,
        relocate,
        holiday,
        rule,
        paint,
        grant,
        revoke,
        deactivate,
        sign_out,
        import_leave,
        narrow,
    )
}
