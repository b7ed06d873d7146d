"""Changes of employees that are refused: what is wrong, what is taken, who may not; every problem in full."""

from typing import Any

import pytest

from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ALAN,
    ALEX,
    ANALYST,
    AUDITOR,
    BACKEND,
    DEVICE,
    EMPLOYEE,
    GATE,
    GRACE,
    HR,
    HR_OPERATIONS,
    INES,
    MANAGER,
    MIA,
    OMAR,
    PAYROLL_MUMBAI,
)
from tests.mutations.attending import (
    employee,
    invalid,
    problem,
    refused,
    shift,
)
from tests.mutations.changing import department, new_employee


def taken(field: str, message: str, who: int | None) -> dict[str, Any]:
    """A conflict with another employee, who is None where the viewer may not know."""
    current = {"current": who and {"id": employee(who)}, "currentVersion": who and 1}
    return problem("Conflict", "CONFLICT", f"input.{field}: {message}", "input", field, **current)


NO_EMPLOYEE = invalid("input.id: there is no such employee", "input", "id", code="NOT_FOUND")
FORBIDDEN = problem(
    "Forbidden", "FORBIDDEN", "input.id: needed an HR grant for this employee", "input", "id", neededRole="HR"
)
PLACE = problem(
    "Forbidden",
    "FORBIDDEN",
    "input: needed an HR grant for this department and location",
    "input",
    neededRole="HR",
)
CIRCLE = invalid(
    "input.managerId: needed somebody who does not report to the employee, directly or not", "input", "managerId"
)
ALEX_ID = {"id": employee(ALEX)}


@pytest.mark.parametrize(
    ("user", "input_", "wrong"),
    [
        (HR, {"id": employee(99)}, NO_EMPLOYEE),
        (HR, {"id": shift(1)}, invalid(f"input.id: needed the id of an Employee, got {shift(1)!r}", "input", "id")),
        (MANAGER, ALEX_ID | {"fullName": "X"}, FORBIDDEN),
        (MANAGER, {"id": employee(OMAR)}, NO_EMPLOYEE),
        (EMPLOYEE, {"id": employee(MIA)}, FORBIDDEN),
        (AUDITOR, ALEX_ID, FORBIDDEN),
        (PAYROLL_MUMBAI, ALEX_ID, FORBIDDEN),
        (ANALYST, ALEX_ID, NO_EMPLOYEE),
        (DEVICE, ALEX_ID, NO_EMPLOYEE),
        (ADMIN, ALEX_ID, NO_EMPLOYEE),
        (MANAGER, new_employee(), PLACE),
        (HR_OPERATIONS, new_employee(), PLACE),
        (
            HR_OPERATIONS,
            {"id": employee(OMAR), "departmentId": department(BACKEND)},
            problem(
                "Forbidden",
                "FORBIDDEN",
                "input: needed an HR grant for the new department and location",
                "input",
                neededRole="HR",
            ),
        ),
        (
            HR,
            new_employee(employeeNo="e005"),
            taken("employeeNo", "another employee has the number 'e005' already; choose another", ALEX),
        ),
        (
            HR,
            new_employee(email="ADA@rollcall.test"),
            taken("email", "another employee has the address 'ADA@rollcall.test' already; choose another", ADA),
        ),
        (
            HR,
            ALEX_ID | {"badgeNo": " B-3 "},
            taken("badgeNo", "another employee has the badge 'B-3' already; choose another", GRACE),
        ),
        (
            HR,
            new_employee(expectedVersion=1),
            invalid(
                "input.expectedVersion: needed an id beside it; who is new has no version yet",
                *("input", "expectedVersion"),
            ),
        ),
        (
            HR,
            new_employee(effectiveFrom="2026-03-20"),
            invalid(
                "input.effectiveFrom: needed hiredOn (2026-03-13) or none: a new employee begins then",
                *("input", "effectiveFrom"),
            ),
        ),
        (
            HR_OPERATIONS,
            {"id": employee(OMAR), "badgeNo": "B-3"},
            taken("badgeNo", "another employee has the badge 'B-3' already; choose another", None),
        ),
        (HR, new_employee(fullName=" "), invalid("input.fullName: needed a text, got none", "input", "fullName")),
        (HR, new_employee(hiredOn=None), invalid("input.hiredOn: a new employee needs it", "input", "hiredOn")),
        (
            HR,
            new_employee(departmentId=None),
            invalid("input.departmentId: a new employee needs it", "input", "departmentId"),
        ),
        (
            HR,
            new_employee(departmentId=department(77)),
            invalid("input.departmentId: there is no such department", "input", "departmentId", code="NOT_FOUND"),
        ),
        (
            HR,
            ALEX_ID | {"locationId": None},
            invalid("input.locationId: needed a Location, got null", "input", "locationId"),
        ),
        (HR, ALEX_ID | {"email": "x"}, invalid("input.email: needed an email address, got 'x'", "input", "email")),
        (
            HR,
            ALEX_ID | {"leftOn": "2024-12-31"},
            invalid("input.leftOn: needed a date not before hiredOn (2025-01-01), got 2024-12-31", "input", "leftOn"),
        ),
        (
            HR,
            new_employee(hiredOn="1949-12-31"),
            invalid("input.hiredOn: needed a date from 1950-01-01 to 2100-12-31, got 1949-12-31", "input", "hiredOn"),
        ),
        (HR, {"id": employee(ALAN), "managerId": employee(ALAN)}, CIRCLE),
        (HR, {"id": employee(ADA), "managerId": employee(ALEX)}, CIRCLE),
        (
            HR,
            {"id": employee(INES), "departmentId": department(GATE), "effectiveFrom": "2026-03-01"},
            invalid(
                "input.effectiveFrom: the place changes on 2026-03-09 already: choose it, to replace that change, "
                "or a date after it; cancelPlanned drops what is planned",
                *("input", "effectiveFrom"),
            ),
        ),
        (
            HR,
            ALEX_ID | {"departmentId": department(GATE), "effectiveFrom": "2024-12-31"},
            invalid(
                "input.effectiveFrom: needed a date from 2025-01-01 to 2100-12-31, got 2024-12-31",
                *("input", "effectiveFrom"),
            ),
        ),
        (
            HR,
            ALEX_ID | {"fullName": "X", "effectiveFrom": "2026-03-20"},
            invalid(
                "input.effectiveFrom: needs a new department, location or manager beside it", "input", "effectiveFrom"
            ),
        ),
        (
            HR,
            ALEX_ID | {"expectedVersion": 3},
            problem(
                "Conflict",
                "CONFLICT",
                "input.expectedVersion: somebody changed it meanwhile: expected version 3, it is 1; read it again",
                *("input", "expectedVersion"),
                current=ALEX_ID,
                currentVersion=1,
            ),
        ),
    ],
)
async def test_refused(rig: Rig, user: str, input_: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert await refused(rig, "saveEmployee", user, **input_) == [wrong]
