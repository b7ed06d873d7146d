"""Random questions by random people among random changes: every answer is what an execution without cache gives.

Two workers answer in turn as chance has it, so that each sends what the other one made as well.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest

from jobs.upkeep import upkeep_once
from tests.kit.clock import Clock
from tests.kit.databases import Databases
from tests.kit.small_company import (
    ADMIN,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EVERYBODY,
    EXPIRED,
    HR,
    HR_OPERATIONS,
    MANAGER,
    NOW,
    PAYROLL_MUMBAI,
)
from tests.mutations.changing import department, employee, location, shift
from tests.responses.changes import ACTIVE
from tests.responses.questions import QUESTIONS, comparable
from tests.responses.service import Service, open_service

USERS = (ADMIN, HR, HR_OPERATIONS, PAYROLL_MUMBAI, MANAGER, ANALYST, AUDITOR, EMPLOYEE, EXPIRED, DEVICE)
STEPS = 160
PHASE = 20  # steps with the same few users and questions, so that answers are asked for again
SEEDS = int(os.environ.get("RESPONSE_SEEDS", "3"))
Write = Callable[[Service, "Chance"], Awaitable[object]]


class Chance(Random):
    """Chance, and the users whom a phase is about."""

    users: Sequence[str] = USERS


def _mutation(field: str, kind: str) -> str:
    return f"mutation($input: {kind}!) {{ {field}(input: $input) {{ userErrors {{ message }} }} }}"


async def _punch(service: Service, random: Chance) -> None:
    field = random.choice(("checkIn", "checkOut"))
    await service.ask(_mutation(field, "CheckInput"), HR, {"input": {"employeeId": employee(random.choice(EVERYBODY))}})


async def _mark(service: Service, random: Chance) -> None:
    status_ = random.choice(("PRESENT", "ABSENT", "WEEKLY_OFF"))
    day = f"2026-03-{random.randint(9, 16):02}"
    item = {"employeeId": employee(random.choice(EVERYBODY)), "date": day, "status": status_}
    await service.ask(
        _mutation("markAttendance", "MarkAttendanceInput"), HR, {"input": {"items": [item], "reason": "so it was"}}
    )


async def _place(service: Service, random: Chance) -> None:
    places = {
        "departmentId": department(random.randint(1, 7)),
        "locationId": location(random.randint(1, 3)),
        "managerId": employee(random.choice(EVERYBODY)),
        "fullName": f"Name {random.randint(1, 999)}",
    }
    chosen = dict(random.sample(sorted(places.items()), random.randint(1, 3)))
    await service.ask(
        _mutation("saveEmployee", "EmployeeInput"), HR, {"input": {"id": employee(random.choice(EVERYBODY)), **chosen}}
    )


async def _department(service: Service, random: Chance) -> None:
    changed = random.choice(
        (
            {"parentId": department(random.randint(1, 7))},
            {"managerId": employee(random.choice(EVERYBODY))},
            {"name": f"Department {random.randint(1, 999)}"},
        )
    )
    given = {"id": department(random.randint(1, 7)), **changed}
    await service.ask(_mutation("saveDepartment", "DepartmentInput"), HR, {"input": given})


async def _organisation(service: Service, random: Chance) -> None:
    field, kind, given = random.choice(
        (
            ("saveLocation", "LocationInput", {"id": location(random.randint(1, 3)), "name": f"L{random.random()}"}),
            (
                "saveLocation",
                "LocationInput",
                {"id": location(1), "timeZone": random.choice(("Asia/Kolkata", "Asia/Tokyo"))},
            ),
            ("saveShift", "ShiftInput", {"id": shift(random.randint(1, 3)), "name": f"S{random.random()}"}),
            (
                "saveHoliday",
                "HolidayInput",
                {"locationId": location(1), "date": f"2026-03-{random.randint(9, 20):02}", "name": "Holiday"},
            ),
            (
                "saveShiftRule",
                "ShiftRuleInput",
                {"shiftId": shift(1), "validFrom": "2026-03-20", "startTime": "10:00", "endTime": "19:00"},
            ),
        )
    )
    await service.ask(_mutation(field, kind), HR, {"input": given})


async def _role(service: Service, random: Chance) -> None:
    user = random.choice(random.users)
    if random.random() < 0.5:
        async with service.rows() as rows:
            await rows.run(
                """DELETE FROM role_grant WHERE id = (SELECT min(g.id) FROM role_grant g
                JOIN app_user u ON u.id = g.user_id WHERE u.email = :email AND g.role <> 'ADMIN')""",
                email=user,
            )
        return
    role = random.choice(("HR", "MANAGER", "ANALYST", "AUDITOR", "PAYROLL", "EMPLOYEE"))
    given = {"userId": await service.user_id(user), "role": role}
    if role in ("HR", "ANALYST", "PAYROLL") and random.random() < 0.5:
        given["departmentId"] = department(random.randint(1, 7))
    if random.random() < 0.5:
        given["expiresAt"] = (service.clock() + timedelta(seconds=random.randint(1, 120))).isoformat()
    await service.ask(_mutation("grantRole", "GrantInput"), ADMIN, {"input": given})


async def _active(service: Service, random: Chance) -> None:
    user = random.choice(random.users)
    if user == ADMIN:
        return
    for active in (False, True)[: random.randint(1, 2)]:
        await service.ask(ACTIVE, ADMIN, {"id": await service.user_id(user), "active": active})
        if active:
            service.sign_in_again(user)


async def _rows(service: Service, random: Chance) -> None:
    async with service.rows() as rows:
        sql, parameters = random.choice(
            (
                ("UPDATE app_user SET employee_id = NULL WHERE email = :email", {"email": random.choice(random.users)}),
                ("UPDATE leave_request SET status = 'REJECTED' WHERE employee_id = :id", {"id": 7}),
                ("UPDATE employee SET time_zone = :zone WHERE id = :id", {"zone": "America/New_York", "id": 7}),
                ("UPDATE punch SET note = 'seen' WHERE employee_id = :id", {"id": random.choice(EVERYBODY)}),
            )
        )
        await rows.run(sql, **parameters)


async def _time(service: Service, random: Chance) -> None:
    service.clock.forward(seconds=random.choice((1, 20, 60, 60, 200, 3_600)))


async def _midnight(service: Service, random: Chance) -> None:
    zone = ZoneInfo(random.choice(("UTC", "Asia/Kolkata", "America/New_York")))
    tomorrow = service.clock().astimezone(zone).date() + timedelta(days=1)
    service.clock.now = datetime.combine(tomorrow, time(), zone).astimezone(UTC)


async def _upkeep(service: Service, random: Chance) -> None:
    await upkeep_once(service.resources.database, service.resources.cache, service.clock())


WRITES: tuple[Write, ...] = (
    _punch,
    _mark,
    _place,
    _department,
    _organisation,
    _role,
    _role,
    _active,
    _rows,
    _time,
    _time,
    _midnight,
    _upkeep,
)


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_every_answer_is_that_of_an_execution_without_cache(
    databases: Databases, fresh_url: str, seed: int
) -> None:
    random, clock = Chance(seed), Clock(NOW)
    words: list[str] = []
    async with (
        open_service(fresh_url, databases.redis_url, clock) as service,
        open_service(fresh_url, databases.redis_url, clock, prefix=service.prefix, drains=False) as other,
        open_service(fresh_url, None, clock) as truth,
    ):
        workers = service, other
        truth.users = other.users = service.users
        history: list[str] = []
        for step in range(STEPS):
            if step % PHASE == 0:
                questions, random.users = random.sample(sorted(QUESTIONS), 4), random.sample(USERS, 4)
            if random.random() < 0.35:
                write = random.choice(WRITES)
                await write(random.choice(workers), random)
                history.append(write.__name__)
            asked = [(random.choice(questions), random.choice(random.users)) for _ in range(random.randint(1, 3))]
            history += [f"{user} asks {question}" for question, user in asked]
            found = await asyncio.gather(
                *(random.choice(workers).ask(QUESTIONS[question], user) for question, user in asked)
            )
            words += [answer.headers.get("cache-status", "refused") for answer in found]
            for (question, user), answer in zip(asked, found, strict=True):
                expected = comparable(await truth.ask(QUESTIONS[question], user))
                assert comparable(answer) == expected, "\n".join(history[-60:])
    assert words.count("rollcall; hit") > len(words) / 5, (
        "too few answers came from the cache for the test to mean much"
    )
    assert any(word.endswith("stale; stored") for word in words)
    assert words.count("rollcall; hit; detail=shared") > len(words) / 20
