"""grantRole, revokeRole and setUserActive: there is always somebody left who can undo them."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from db.user_writes import lock_administrators
from domain.enums import Role
from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EXPIRED,
    HR,
    HR_OPERATIONS,
    LAB,
    MANAGER,
    MUMBAI,
    NOW,
    PAYROLL_MUMBAI,
)
from tests.mutations.changing import PROBLEMS, change, department, employee, location, problem, refused, waits

EMAILS = (ADMIN, HR, HR_OPERATIONS, PAYROLL_MUMBAI, MANAGER, ANALYST, AUDITOR, EMPLOYEE, DEVICE, EXPIRED)
ID_BY_EMAIL = {email: encode_id("User", number) for number, email in enumerate(EMAILS, start=1)}
ROLES = "user { email roles { role department { code } location { code } expiresAt } }"
LAST = "is the last active administrator; make somebody else one first"


def role(name: str, **scope: Any) -> dict[str, Any]:
    return {"role": name, "department": None, "location": None, "expiresAt": None} | scope


async def set_active(rig: Rig, email: str, active: bool, by: str = ADMIN) -> Any:
    query = f"""mutation($u: ID!, $a: Boolean!) {{ setUserActive(userId: $u, active: $a) {{
      user {{ isActive }} {PROBLEMS} }} }}"""
    variables = {"u": ID_BY_EMAIL[email], "a": active}
    return (await rig.data(query, variables, await rig.viewer(by)))["setUserActive"]


async def listed(rig: Rig, name: str) -> list[str]:
    found = await rig.data("query($r: Role) { users(role: $r) { email } }", {"r": name}, await rig.viewer(ADMIN))
    return [user["email"] for user in found["users"]]


async def test_a_role_is_granted_once_and_works_at_once(fresh_rig: Rig) -> None:
    assert await listed(fresh_rig, "HR") == [EXPIRED, HR_OPERATIONS, HR]
    assert (await fresh_rig.viewer(EMPLOYEE)).organises is False
    input_ = {"userId": ID_BY_EMAIL[EMPLOYEE], "role": "HR"}
    for _ in range(2):  # a retry changes nothing
        granted = await change(fresh_rig, "grantRole", ROLES, ADMIN, **input_)
        assert granted == {"user": {"email": EMPLOYEE, "roles": [role("EMPLOYEE"), role("HR")]}, "userErrors": []}
    assert (await fresh_rig.viewer(EMPLOYEE)).organises is True
    assert await listed(fresh_rig, "HR") == [EMPLOYEE, EXPIRED, HR_OPERATIONS, HR]
    by = "SELECT granted_by FROM role_grant WHERE user_id = 8 AND role = 'HR'"
    assert await fresh_rig.records(by) == [(1,)]

    revoked = await change(fresh_rig, "revokeRole", ROLES, ADMIN, **input_)
    assert revoked == {"user": {"email": EMPLOYEE, "roles": [role("EMPLOYEE")]}, "userErrors": []}
    assert (await fresh_rig.viewer(EMPLOYEE)).organises is False
    assert await listed(fresh_rig, "HR") == [EXPIRED, HR_OPERATIONS, HR]


async def test_scopes_and_ends_belong_to_the_grant(fresh_rig: Rig) -> None:
    of_user = {"userId": ID_BY_EMAIL[ANALYST]}
    until = {"expiresAt": "2026-03-18T00:00:00+05:30"}
    await change(fresh_rig, "grantRole", "", ADMIN, **of_user, role="HR", departmentId=department(LAB), **until)
    await change(fresh_rig, "grantRole", "", ADMIN, **of_user, role="DEVICE", locationId=location(MUMBAI))
    lab = role("HR", department={"code": "LAB"}, expiresAt="2026-03-17T18:30:00Z")
    device = role("DEVICE", location={"code": "MUM"})
    node = '{ node(id: "ID") { ... on User { roles { role department { code } location { code } expiresAt } } } }'
    found = await fresh_rig.data(node.replace("ID", ID_BY_EMAIL[ANALYST]), None, await fresh_rig.viewer(ADMIN))
    assert found["node"]["roles"] == [lab, role("ANALYST"), device]

    longer = await change(fresh_rig, "grantRole", ROLES, ADMIN, **of_user, role="HR", departmentId=department(LAB))
    assert longer["user"]["roles"] == [lab | {"expiresAt": None}, role("ANALYST"), device]
    fresh_rig.clock.forward(days=1)
    assert (await fresh_rig.viewer(ANALYST)).personnel.department_ids == (LAB,)


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        ({"userId": encode_id("User", 99)}, ("NOT_FOUND", "userId", "there is no such user")),
        ({"userId": employee(1)}, ("INVALID", "userId", f"needed the id of a User, got '{employee(1)}'")),
        ({"departmentId": department(9)}, ("NOT_FOUND", "departmentId", "there is no such department")),
        ({"departmentId": department(2**40)}, ("NOT_FOUND", "departmentId", "there is no such department")),
        ({"locationId": location(9)}, ("NOT_FOUND", "locationId", "there is no such location")),
        *[
            (
                {"role": name, "departmentId": department(1)},
                ("INVALID", "departmentId", f"needed none: {name} is not for a department"),
            )
            for name in ("EMPLOYEE", "ADMIN", "AUDITOR", "DEVICE")
        ],
        *[
            (
                {"role": name, "locationId": location(1)},
                ("INVALID", "locationId", f"needed none: {name} is not for a location"),
            )
            for name in ("EMPLOYEE", "ADMIN", "AUDITOR")
        ],
        (
            {"expiresAt": NOW.isoformat()},
            ("INVALID", "expiresAt", "needed an instant to come, got 2026-03-17T05:00:00Z"),
        ),
    ],
)
async def test_what_is_wrong_with_a_grant(rig: Rig, input: dict[str, Any], expected: tuple[str, str, str]) -> None:
    code, field, message = expected
    found = await refused(rig, "grantRole", ADMIN, **{"userId": ID_BY_EMAIL[HR], "role": "PAYROLL"} | input)
    assert found == problem(code, f"input.{field}: {message}", "input", field)
    assert await rig.records("SELECT count(*) FROM role_grant") == [(12,)]


@pytest.mark.parametrize(
    "other", [{"role": "PAYROLL"}, {"departmentId": department(LAB)}, {"locationId": location(MUMBAI)}]
)
async def test_only_what_was_granted_can_be_taken_back(rig: Rig, other: dict[str, Any]) -> None:
    found = await refused(rig, "revokeRole", ADMIN, **{"userId": ID_BY_EMAIL[HR], "role": "HR"} | other)
    assert found == problem("NOT_FOUND", "input: there is no such role of the user", "input")
    assert await rig.records("SELECT count(*) FROM role_grant") == [(12,)]


@pytest.mark.parametrize("user", [HR, HR_OPERATIONS, MANAGER, AUDITOR, EMPLOYEE, DEVICE])
async def test_who_may_not_administer(rig: Rig, user: str) -> None:
    wanted = problem("FORBIDDEN", "needed the role ADMIN", neededRole="ADMIN")
    input_ = {"userId": ID_BY_EMAIL[EMPLOYEE], "role": "ADMIN"}
    assert await refused(rig, "grantRole", user, **input_) == wanted
    assert await refused(rig, "revokeRole", user, **input_) == wanted
    assert (await set_active(rig, ADMIN, False, user))["userErrors"] == [wanted]
    assert await rig.records("SELECT count(*) FROM role_grant") == [(12,)]


def last(email: str, *path: str) -> dict[str, Any]:
    return problem("CONFLICT", f"{'.'.join(path)}: {email} {LAST}", *path, current={"id": ID_BY_EMAIL[email]})


async def test_the_last_administrator_stays(fresh_rig: Rig) -> None:
    own = {"userId": ID_BY_EMAIL[ADMIN], "role": "ADMIN"}
    assert await refused(fresh_rig, "revokeRole", ADMIN, **own) == last(ADMIN, "input", "role")
    soon = {"expiresAt": (NOW + timedelta(days=1)).isoformat()}
    assert await refused(fresh_rig, "grantRole", ADMIN, **own, **soon) == last(ADMIN, "input", "expiresAt")

    # neither one who cannot sign in nor one whose role has ended would be left
    await change(fresh_rig, "grantRole", "", ADMIN, userId=ID_BY_EMAIL[HR], role="ADMIN")
    await set_active(fresh_rig, HR, False)
    await change(fresh_rig, "grantRole", "", ADMIN, userId=ID_BY_EMAIL[AUDITOR], role="ADMIN", **soon)
    fresh_rig.clock.forward(days=2)
    assert await refused(fresh_rig, "revokeRole", ADMIN, **own) == last(ADMIN, "input", "role")

    await set_active(fresh_rig, HR, True)
    assert (await change(fresh_rig, "revokeRole", "", ADMIN, **own))["userErrors"] == []
    assert (await fresh_rig.viewer(ADMIN)).administers is False
    assert (await fresh_rig.viewer(HR)).administers is True


async def test_a_user_who_may_not_sign_in_any_more(fresh_rig: Rig) -> None:
    state = "SELECT is_active, token_epoch FROM app_user WHERE id = 8"
    query = '{ users(search: "employee@") { isActive } }'
    assert (await fresh_rig.data(query, None, await fresh_rig.viewer(ADMIN)))["users"] == [{"isActive": True}]
    for _ in range(2):  # a retry changes nothing
        assert await set_active(fresh_rig, EMPLOYEE, False) == {"user": {"isActive": False}, "userErrors": []}
        assert await fresh_rig.records(state) == [(False, 1)]
    assert (await fresh_rig.data(query, None, await fresh_rig.viewer(ADMIN)))["users"] == [{"isActive": False}]
    assert (await set_active(fresh_rig, EMPLOYEE, True))["user"] == {"isActive": True}
    assert await fresh_rig.records(state) == [(True, 1)]


async def test_nobody_locks_themselves_out(fresh_rig: Rig) -> None:
    await change(fresh_rig, "grantRole", "", ADMIN, userId=ID_BY_EMAIL[HR], role="ADMIN")
    message = "userId: nobody can lock themselves out; ask another administrator"
    wanted = problem("CONFLICT", message, "userId", current={"id": ID_BY_EMAIL[ADMIN]})
    assert await set_active(fresh_rig, ADMIN, False) == {"user": None, "userErrors": [wanted]}
    assert await fresh_rig.records("SELECT count(*) FROM app_user WHERE NOT is_active") == [(0,)]


async def test_two_administrators_cannot_lock_each_other_out(fresh_rig: Rig) -> None:
    await change(fresh_rig, "grantRole", "", ADMIN, userId=ID_BY_EMAIL[HR], role="ADMIN")
    async with fresh_rig.rows() as rows:
        await lock_administrators(rows.connection)
        await rows.run("UPDATE app_user SET is_active = false WHERE email = :email", email=HR)
        task = asyncio.create_task(set_active(fresh_rig, ADMIN, False, by=HR))
        assert await waits(fresh_rig, task)
    assert (await task)["userErrors"] == [last(ADMIN, "userId")]
    active = (
        "SELECT count(*) FROM app_user u JOIN role_grant g ON g.user_id = u.id WHERE g.role = 'ADMIN' AND is_active"
    )
    assert await fresh_rig.records(active) == [(1,)]


async def test_every_role_can_be_granted(fresh_rig: Rig) -> None:
    for name in Role:
        granted = await change(fresh_rig, "grantRole", "", ADMIN, userId=ID_BY_EMAIL[HR], role=name)
        assert granted["userErrors"] == []
    assert (await fresh_rig.viewer(HR)).roles == frozenset(Role)
