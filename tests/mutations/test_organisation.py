"""saveDepartment and saveShift: exact problems, who may organise, and every cached answer right at once."""

import asyncio
from typing import Any

import pytest

from db.department_writes import lock_tree
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ADMIN,
    ANALYST,
    AUDITOR,
    BACKEND,
    DAY,
    DEVICE,
    EMPLOYEE,
    ENGINEERING,
    GATE,
    GRACE,
    HR,
    HR_OPERATIONS,
    LAB,
    MANAGER,
    OPERATIONS,
    PAYROLL_MUMBAI,
)
from tests.mutations.changing import change, department, employee, location, problem, refused, shift, waits

DEPARTMENT = "department { id code name version parent { code } manager { fullName } }"
TREE = "{ departments { code version children { code } } }"


async def tree(rig: Rig) -> dict[str, list[str]]:
    found = await rig.data(TREE, None, await rig.viewer(HR))
    return {row["code"]: [child["code"] for child in row["children"]] for row in found["departments"]}


async def test_a_department_is_made_and_stands_in_every_list_at_once(fresh_rig: Rig) -> None:
    before = await tree(fresh_rig)
    made = await change(
        fresh_rig,
        "saveDepartment",
        DEPARTMENT,
        code=" DATA ",
        name="Data",
        parentId=department(ENGINEERING),
        managerId=employee(GRACE),
    )
    assert made == {
        "department": {
            "id": department(8),
            "code": "DATA",
            "name": "Data",
            "version": 1,
            "parent": {"code": "ENG"},
            "manager": {"fullName": "Grace Hopper"},
        },
        "userErrors": [],
    }
    assert await tree(fresh_rig) == before | {"DATA": [], "ENG": ["BACK", "DATA", "FRONT"]}


async def test_fields_left_out_stay_and_null_clears(fresh_rig: Rig) -> None:
    viewer, query = await fresh_rig.viewer(HR), f'{{ node(id: "{department(ENGINEERING)}") {{ ... on Department {{'
    query += " code name version parent { code } manager { fullName } } } }"
    levels = {"department_by_id": 2}

    async def node() -> Any:
        return (await fresh_rig.data(query, None, viewer, repeats=levels))["node"]

    assert (await node())["name"] == "Engineering"
    kept = {"code": "ENG", "parent": {"code": "COMP"}, "manager": {"fullName": "Alan Turing"}}

    await change(fresh_rig, "saveDepartment", id=department(ENGINEERING), name="Making", expectedVersion=1)
    assert await node() == kept | {"name": "Making", "version": 2}

    cleared = await change(
        fresh_rig, "saveDepartment", DEPARTMENT, id=department(ENGINEERING), parentId=None, managerId=None
    )
    kept = {"code": "ENG", "name": "Making", "version": 3, "parent": None, "manager": None}
    assert cleared == {"department": {"id": department(ENGINEERING)} | kept, "userErrors": []}
    assert await node() == kept

    again = await change(fresh_rig, "saveDepartment", DEPARTMENT, id=department(ENGINEERING), parentId=None)
    assert again == cleared  # nothing changed, so the version stands


async def test_a_moved_department_takes_its_figures_along(fresh_rig: Rig) -> None:
    query = '{ departments { code stats(period: {range: {from: "2026-03-02", to: "2026-03-16"}}) { scheduledDays } } }'

    async def days() -> dict[str, float]:
        found = await fresh_rig.data(query, None, await fresh_rig.viewer(HR))
        return {row["code"]: row["stats"]["scheduledDays"] for row in found["departments"]}

    before = await days()
    assert before == {
        **{"COMP": 122, "ENG": 80, "BACK": 38.5, "FRONT": 30.5},
        **{"OPS": 31, "GATE": 20, "LAB": 10.5},
    }
    await change(fresh_rig, "saveDepartment", id=department(GATE), parentId=department(LAB))
    assert await days() == before | {"COMP": 102, "OPS": 11, "LAB": 30.5}
    assert (await tree(fresh_rig))["LAB"] == ["GATE"]
    assert (await tree(fresh_rig))["OPS"] == []


async def test_a_new_leader_sees_the_department_at_once(fresh_rig: Rig) -> None:
    assert (await fresh_rig.viewer(MANAGER)).identified.department_ids == (2, 3, 4)
    await change(fresh_rig, "saveDepartment", id=department(LAB), managerId=employee(2))
    assert (await fresh_rig.viewer(MANAGER)).identified.department_ids == (2, 3, 4, 7)


CIRCLE = (
    "input.parentId: needed a department that is neither the department itself nor below it, or they would form a "
    "circle"
)


@pytest.mark.parametrize("parent", [ENGINEERING, BACKEND])
async def test_no_department_is_above_itself(rig: Rig, parent: int) -> None:
    found = await refused(rig, "saveDepartment", id=department(ENGINEERING), parentId=department(parent))
    assert found == problem("INVALID", CIRCLE, "input", "parentId")
    assert (await tree(rig))["COMP"] == ["ENG", "OPS"]


async def test_two_moves_at_once_make_no_circle(fresh_rig: Rig) -> None:
    """Neither touches the department that the other moves, only one below it."""
    async with fresh_rig.rows() as rows:
        await lock_tree(rows.connection)
        await rows.run("UPDATE department SET parent_id = :gate WHERE id = :id", gate=GATE, id=ENGINEERING)
        other = change(fresh_rig, "saveDepartment", id=department(OPERATIONS), parentId=department(BACKEND))
        task = asyncio.create_task(other)
        assert await waits(fresh_rig, task)
    assert (await task)["userErrors"] == [problem("INVALID", CIRCLE, "input", "parentId")]
    assert (await tree(fresh_rig))["GATE"] == ["ENG"]


SOMEBODY = "input.expectedVersion: somebody changed it meanwhile: expected version 7, it is 1; read it again"


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        ({}, problem("INVALID", "input.code: needed a text, got none", "input", "code")),
        ({"code": "X"}, problem("INVALID", "input.name: needed a text, got none", "input", "name")),
        (
            {"id": department(2), "code": None},
            problem("INVALID", "input.code: needed a text, got none", "input", "code"),
        ),
        ({"code": "x" * 51}, problem("INVALID", "input.code: needed at most 50 characters, got 51", "input", "code")),
        ({"id": "x"}, problem("INVALID", "input.id: needed an id as this API returns it, got 'x'", "input", "id")),
        ({"id": ""}, problem("INVALID", "input.id: needed an id as this API returns it, got ''", "input", "id")),
        (
            {"id": location(1)},
            problem("INVALID", f"input.id: needed the id of a Department, got '{location(1)}'", "input", "id"),
        ),
        ({"id": department(99)}, problem("NOT_FOUND", "input.id: there is no such department", "input", "id")),
        ({"id": department(2**40)}, problem("NOT_FOUND", "input.id: there is no such department", "input", "id")),
        (
            {"id": department(2), "parentId": department(2**40)},
            problem("NOT_FOUND", "input.parentId: there is no such department", "input", "parentId"),
        ),
        (
            {"id": department(2), "managerId": employee(99)},
            problem("NOT_FOUND", "input.managerId: there is no such employee", "input", "managerId"),
        ),
        (
            {"code": "back", "name": "Other"},
            problem(
                "CONFLICT",
                "input.code: another department has the code 'back' already, in whatever case; choose another",
                "input",
                "code",
                currentVersion=1,
                current={"id": department(BACKEND)},
            ),
        ),
        (
            {"id": department(2), "name": "Other", "expectedVersion": 7},
            problem("CONFLICT", SOMEBODY, "input", "expectedVersion", currentVersion=1, current={"id": department(2)}),
        ),
        (
            {"code": "X", "name": "X", "expectedVersion": 1},
            problem(
                "INVALID",
                "input.expectedVersion: needed an id beside it; what is new has no version yet",
                "input",
                "expectedVersion",
            ),
        ),
    ],
)
async def test_what_is_wrong_with_a_department(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    before = await rig.records("SELECT * FROM department ORDER BY id")
    assert await refused(rig, "saveDepartment", **input) == expected
    assert await rig.records("SELECT * FROM department ORDER BY id") == before


NEEDED = problem("FORBIDDEN", "needed the role HR for everyone, or ADMIN")


@pytest.mark.parametrize("user", [HR_OPERATIONS, PAYROLL_MUMBAI, MANAGER, ANALYST, AUDITOR, EMPLOYEE, DEVICE])
async def test_who_may_not_organise(rig: Rig, user: str) -> None:
    rule = {"shiftId": shift(DAY), "validFrom": "2026-04-01", "startTime": "09:00", "endTime": "18:00"}
    assert await refused(rig, "saveDepartment", user, code="X", name="X") == NEEDED
    assert await refused(rig, "saveLocation", user, code="X", name="X", timeZone="UTC") == NEEDED
    assert await refused(rig, "saveShift", user, code="X", name="X") == NEEDED
    assert await refused(rig, "saveShiftRule", user, **rule) == NEEDED


async def test_an_administrator_organises_but_sees_no_people(fresh_rig: Rig) -> None:
    made = await change(fresh_rig, "saveDepartment", "department { code }", ADMIN, code="X", name="X")
    assert made == {"department": {"code": "X"}, "userErrors": []}
    found = await refused(fresh_rig, "saveDepartment", ADMIN, id=department(LAB), managerId=employee(ADA))
    assert found == problem("NOT_FOUND", "input.managerId: there is no such employee", "input", "managerId")


async def test_nobody_is_told_to_sign_in(fresh_rig: Rig) -> None:
    answer = await fresh_rig.execute('mutation { saveShift(input: {code: "X", name: "X"}) { userErrors { code } } }')
    assert (answer.data, answer.code) == (None, "UNAUTHENTICATED")


# ------------------------------------------------------------------------------------------------------------- shifts


async def test_a_shift_is_made_and_changed(fresh_rig: Rig) -> None:
    query = "{ shifts { code name color version currentRule { startTime endTime } rules { id } } }"
    listed = {row["code"]: row for row in (await fresh_rig.data(query, None, await fresh_rig.viewer(HR)))["shifts"]}
    made = await change(fresh_rig, "saveShift", "shift { id code }", code="EVE", name="Evening", color="#abc")
    assert made == {"shift": {"id": shift(4), "code": "EVE"}, "userErrors": []}
    await change(fresh_rig, "saveShift", id=shift(4), color=None, expectedVersion=1)
    await change(fresh_rig, "saveShift", id=shift(DAY), color="teal")
    found = {row["code"]: row for row in (await fresh_rig.data(query, None, await fresh_rig.viewer(HR)))["shifts"]}
    defaults = {"startTime": "09:00", "endTime": "18:00"}  # the shift has no rule yet, and no list fails over it
    eve = {"code": "EVE", "name": "Evening", "color": None, "version": 2, "currentRule": defaults, "rules": []}
    assert found == listed | {"EVE": eve, "DAY": listed["DAY"] | {"color": "teal", "version": 2}}


@pytest.mark.parametrize(
    ("input", "expected"),
    [
        (
            {"code": "X", "name": "X", "color": "#12"},
            problem("INVALID", "input.color: needed a colour like #1f77b4 or teal, got '#12'", "input", "color"),
        ),
        (
            {"id": shift(3), "code": "Night"},
            problem(
                "CONFLICT",
                "input.code: another shift has the code 'Night' already, in whatever case; choose another",
                "input",
                "code",
                currentVersion=1,
                current={"id": shift(2)},
            ),
        ),
        ({"id": shift(9)}, problem("NOT_FOUND", "input.id: there is no such shift", "input", "id")),
        (
            {"id": shift(1), "expectedVersion": 7},
            problem("CONFLICT", SOMEBODY, "input", "expectedVersion", currentVersion=1, current={"id": shift(1)}),
        ),
    ],
)
async def test_what_is_wrong_with_a_shift(rig: Rig, input: dict[str, Any], expected: dict[str, Any]) -> None:
    assert await refused(rig, "saveShift", **input) == expected
    assert await rig.records("SELECT count(*), sum(version) FROM shift") == [(3, 3)]
