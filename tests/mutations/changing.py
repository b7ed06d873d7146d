"""How tests change things: one mutation with its `input`, every problem in full."""

import asyncio
from typing import Any

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import BACKEND, HR, MUMBAI

PROBLEMS = (
    "userErrors { code message path ... on Forbidden { neededRole } ... on Conflict { currentVersion current { id } } }"
)


async def change(rig: Rig, field: str, selection: str = "", user: str = HR, /, **input: Any) -> Any:
    """What a mutation answers; keys of `input` are as in the API."""
    type_name = {"revokeRole": "GrantInput", "grantRole": "GrantInput"}.get(field, f"{field.removeprefix('save')}Input")
    query = f"mutation($input: {type_name}!) {{ {field}(input: $input) {{ {selection} {PROBLEMS} }} }}"
    return (await rig.data(query, {"input": input}, await rig.viewer(user)))[field]


async def refused(rig: Rig, field: str, user: str = HR, /, **input: Any) -> dict[str, Any]:
    """The only problem of a mutation that is refused."""
    [found] = (await change(rig, field, "", user, **input))["userErrors"]
    return dict(found)


def problem(code: str, message: str, *path: str, **more: Any) -> dict[str, Any]:
    """A problem as the API shows it."""
    if code == "FORBIDDEN":
        more = {"neededRole": "HR"} | more
    if code == "CONFLICT":
        more = {"currentVersion": None, "current": None} | more
    return {"code": code, "message": message, "path": list(path)} | more


def department(key: int) -> str:
    """A global id."""
    return encode_id("Department", key)


def location(key: int) -> str:
    """A global id."""
    return encode_id("Location", key)


def shift(key: int) -> str:
    """A global id."""
    return encode_id("Shift", key)


def employee(key: int) -> str:
    """A global id."""
    return encode_id("Employee", key)


def new_employee(**more: Any) -> dict[str, Any]:
    """The input of a new employee."""
    names = {"employeeNo": "N1", "fullName": "Noor New", "hiredOn": "2026-03-13"}
    return names | {"departmentId": department(BACKEND), "locationId": location(MUMBAI)} | more


async def waits(rig: Rig, task: "asyncio.Task[Any]") -> bool:
    """Let a task run until PostgreSQL keeps it waiting for a lock; False when it ends without."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not task.done():
        if await rig.records(waiting) != [(0,)]:
            return True
    return False
