"""Departments, locations, holidays, shifts, kinds of leave, users: small lists with exact values."""

from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADMIN,
    ALAN,
    ANALYST,
    AUDITOR,
    DEVICE,
    EMPLOYEE,
    EXPIRED,
    HR,
    HR_OPERATIONS,
    MANAGER,
    PAYROLL_MUMBAI,
)


async def test_departments(rig: Rig) -> None:
    query = "{ departments { code name version parent { code } children { code } manager { fullName } } }"
    found = (await rig.data(query, None, await rig.viewer(HR)))["departments"]
    told = [
        (
            d["code"],
            (d["parent"] or {}).get("code"),
            [c["code"] for c in d["children"]],
            (d["manager"] or {}).get("fullName"),
        )
        for d in found
    ]
    assert told == [
        ("BACK", "ENG", [], "Grace Hopper"),
        ("COMP", None, ["ENG", "OPS"], "Ada Lovelace"),
        ("ENG", "COMP", ["BACK", "FRONT"], "Alan Turing"),
        ("FRONT", "ENG", [], None),
        ("GATE", "OPS", [], None),
        ("LAB", None, [], None),
        ("OPS", "COMP", ["GATE"], "Omar Diaz"),
    ]
    assert [d["name"] for d in found] == ["Backend", "Company", "Engineering", "Frontend", "Gate", "Lab", "Operations"]


async def test_root_departments(rig: Rig) -> None:
    query = "query($only: Boolean) { departments(rootsOnly: $only) { code } }"
    hr = await rig.viewer(HR)
    assert await rig.data(query, {"only": True}, hr) == {"departments": [{"code": "COMP"}, {"code": "LAB"}]}
    assert len((await rig.data(query, {"only": False}, hr))["departments"]) == 7
    assert len((await rig.data(query, {"only": None}, hr))["departments"]) == 7


async def test_the_employees_of_departments_in_pages(rig: Rig) -> None:
    query = """query($id: ID!, $after: String) { node(id: $id) { ... on Department {
      employees(first: 3, after: $after) { nodes { employeeNo } totalCount pageInfo { hasNextPage endCursor } }
    } } }"""
    hr, backend = await rig.viewer(HR), {"id": encode_id("Department", 3)}
    first = (await rig.data(query, backend, hr))["node"]["employees"]
    assert [node["employeeNo"] for node in first["nodes"]] == ["E005", "E003", "E013"]
    assert (first["totalCount"], first["pageInfo"]["hasNextPage"]) == (5, True)
    second = (await rig.data(query, {**backend, "after": first["pageInfo"]["endCursor"]}, hr))["node"]["employees"]
    assert [node["employeeNo"] for node in second["nodes"]] == ["E004", "E014"]
    assert (second["totalCount"], second["pageInfo"]["hasNextPage"]) == (5, False)


async def test_locations_and_their_holidays(rig: Rig) -> None:
    query = "{ locations { code name timeZone holidays(year: 2026) { date name half optional } } }"
    assert (await rig.data(query, None, await rig.viewer(EMPLOYEE)))["locations"] == [
        {
            "code": "BER",
            "name": "Berlin",
            "timeZone": "Europe/Berlin",
            "holidays": [{"date": "2026-03-06", "name": "Inventory", "half": "SECOND", "optional": False}],
        },
        {
            "code": "MUM",
            "name": "Mumbai",
            "timeZone": "Asia/Kolkata",
            "holidays": [
                {"date": "2026-03-04", "name": "Holi", "half": None, "optional": False},
                {"date": "2026-03-19", "name": "Gudi Padwa", "half": None, "optional": True},
            ],
        },
        {"code": "NYC", "name": "New York", "timeZone": "America/New_York", "holidays": []},
    ]


async def test_holidays_of_two_years(rig: Rig) -> None:
    query = "{ locations { last: holidays(year: 2025) { name } next: holidays(year: 2027) { name } } }"
    answer = await rig.execute(query, viewer=await rig.viewer(HR))
    found = [(place["last"], place["next"]) for place in answer.data["locations"]]
    assert found == [([], []), ([{"name": "Diwali"}], []), ([], [])]
    assert answer.sql == ["locations", "holidays_of_year"]


@pytest.mark.parametrize("year", [1999, 2101, -1])
async def test_holidays_of_a_year_out_of_this_world(rig: Rig, year: int) -> None:
    query = "query($year: Int!) { locations { holidays(year: $year) { name } } }"
    answer = await rig.execute(query, {"year": year}, await rig.viewer(HR))
    assert {error["message"] for error in answer.errors} == {f"year: needed a year from 2000 to 2100, got {year}"}
    assert {error["extensions"]["code"] for error in answer.errors} == {"BAD_USER_INPUT"}


async def test_shifts_and_their_rules(rig: Rig) -> None:
    query = """{ shifts { code name color version
      currentRule { startTime endTime expectedMinutes crossesMidnight graceInMinutes }
      rules { validFrom validTo graceInMinutes isFlexible }
    } }"""
    assert (await rig.data(query, None, await rig.viewer(HR)))["shifts"] == [
        {
            "code": "DAY",
            "name": "Day",
            "color": "#1f77b4",
            "version": 1,
            "currentRule": _current("09:00", "18:00", 480, False, 5),
            "rules": [
                {"validFrom": "2020-01-01", "validTo": "2026-03-08", "graceInMinutes": 10, "isFlexible": False},
                {"validFrom": "2026-03-09", "validTo": None, "graceInMinutes": 5, "isFlexible": False},
            ],
        },
        {
            "code": "FLEX",
            "name": "Flexible",
            "color": None,
            "version": 1,
            "currentRule": _current("09:00", "18:00", 420, False, 10),
            "rules": [{"validFrom": "2020-01-01", "validTo": None, "graceInMinutes": 10, "isFlexible": True}],
        },
        {
            "code": "NIGHT",
            "name": "Night",
            "color": None,
            "version": 1,
            "currentRule": _current("22:00", "06:00", 450, True, 10),
            "rules": [{"validFrom": "2020-01-01", "validTo": None, "graceInMinutes": 10, "isFlexible": False}],
        },
    ]


def _current(start: str, end: str, expected: int, crosses: bool, grace: int) -> dict[str, Any]:
    times = {"startTime": start, "endTime": end, "expectedMinutes": expected}
    return {**times, "crossesMidnight": crosses, "graceInMinutes": grace}


async def test_kinds_of_leave(rig: Rig) -> None:
    query = "{ leaveTypes { id code name paid allowHalfDay } }"
    casual = {"id": encode_id("LeaveType", 1), "code": "CL", "name": "Casual leave", "paid": True, "allowHalfDay": True}
    sick = {"id": encode_id("LeaveType", 2), "code": "SL", "name": "Sick leave", "paid": False, "allowHalfDay": True}
    assert await rig.data(query, None, await rig.viewer(HR)) == {"leaveTypes": [casual, sick]}


async def test_me(rig: Rig) -> None:
    query = "{ me { email isActive employee { id } roles { role department { code } location { code } expiresAt } } }"
    assert (await rig.data(query, None, await rig.viewer(MANAGER)))["me"] == {
        "email": MANAGER,
        "isActive": True,
        "employee": {"id": encode_id("Employee", ALAN)},
        "roles": [
            {"role": "EMPLOYEE", "department": None, "location": None, "expiresAt": None},
            {"role": "MANAGER", "department": None, "location": None, "expiresAt": None},
        ],
    }
    scoped = await rig.data(query, None, await rig.viewer(HR_OPERATIONS))
    assert scoped["me"]["roles"] == [{"role": "HR", "department": {"code": "OPS"}, "location": None, "expiresAt": None}]
    local = await rig.data(query, None, await rig.viewer(PAYROLL_MUMBAI))
    assert local["me"]["roles"][0]["location"] == {"code": "MUM"}
    expired = await rig.data(query, None, await rig.viewer(EXPIRED))
    assert [role["role"] for role in expired["me"]["roles"]] == ["EMPLOYEE"]


USERS = (
    "query($search: String, $role: Role, $first: Int) { users(search: $search, role: $role, first: $first) { email } }"
)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"first": 3}, [ADMIN, ANALYST, AUDITOR]),
        ({"search": "HR"}, [HR_OPERATIONS, HR]),
        ({"search": "h_"}, []),
        ({"role": "HR"}, [EXPIRED, HR_OPERATIONS, HR]),
        ({"role": "EMPLOYEE", "search": "manager"}, [MANAGER]),
        ({"first": 0}, []),
    ],
)
async def test_users(rig: Rig, arguments: Any, found: list[str]) -> None:
    users = (await rig.data(USERS, {"first": 50, **arguments}, await rig.viewer(ADMIN)))["users"]
    assert [user["email"] for user in users] == found


async def test_users_with_their_roles(rig: Rig) -> None:
    query = "{ users { email employee { employeeNo } roles { role department { code } location { code } } } }"
    answer = await rig.execute(query, viewer=await rig.viewer(AUDITOR))
    assert len(answer.data["users"]) == 10
    assert sorted(answer.sql) == ["employee_by_id", "grants_by_user", "organisation", "users"]


@pytest.mark.parametrize("email", [HR, MANAGER, ANALYST, EMPLOYEE, DEVICE])
async def test_users_are_for_administrators_and_auditors(rig: Rig, email: str) -> None:
    answer = await rig.execute(USERS, {"first": 1}, await rig.viewer(email))
    assert (answer.code, answer.message) == ("FORBIDDEN", "users: needed the role ADMIN or AUDITOR")


async def test_the_figures_of_a_department_are_of_all_below_it(rig: Rig) -> None:
    query = """query($period: PeriodInput!) { departments { code stats(period: $period) { headcount presentDays } } }"""
    day = {"period": {"range": {"from": "2026-03-16", "to": "2026-03-16"}}}
    answer = await rig.execute(query, day, await rig.viewer(HR))
    figures = {d["code"]: (d["stats"]["headcount"], d["stats"]["presentDays"]) for d in answer.data["departments"]}
    assert figures == {
        "BACK": (5, 4.0),
        "COMP": (12, 7.0),
        "ENG": (8, 6.0),
        "FRONT": (2, 2.0),
        "GATE": (2, 0.0),
        "LAB": (1, 1.0),
        "OPS": (3, 1.0),
    }
    assert sorted(answer.sql) == ["department_tree", "departments", "headcount_of_department", "stats_of_department"]
