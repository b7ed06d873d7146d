"""Employees: one and many, in pages both ways over every order, narrowed by every filter."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import (
    ADA,
    ALAN,
    ALEX,
    BACKEND,
    BERLIN,
    ENGINEERING,
    EVERYBODY,
    FLEX,
    GATE,
    GRACE,
    HR,
    INES,
    LAB,
    LEO,
    LINUS,
    MANAGER,
    MIA,
    MUMBAI,
    NIGHT,
    NINA,
    OMAR,
    OTHER_ALEX,
    PAUL,
    TESS,
    ZOE,
)
from tests.kit.walks import PAGE, WINDOW, WINDOW_ARGUMENTS, walk_backwards, walk_forwards

LIST = f"""
query List($filter: EmployeeFilter, $orderBy: [EmployeeOrder!], {WINDOW}) {{
  employees(filter: $filter, orderBy: $orderBy, {WINDOW_ARGUMENTS}) {{
    edges {{ cursor node {{ id }} }} {PAGE} totalCount totalCountIsExact
  }}
}}"""
NAMES = "query($filter: EmployeeFilter) { employees(filter: $filter) { totalCount nodes { id } } }"
BY_NAME = (ADA, ALAN, ALEX, OTHER_ALEX, GRACE, INES, LEO, LINUS, MIA, NINA, OMAR, PAUL, TESS, ZOE)


def employee_id(key: int) -> str:
    return encode_id("Employee", key)


def nodes(*keys: int) -> list[dict[str, str]]:
    return [{"id": employee_id(key)} for key in keys]


async def test_one_employee_with_everything_around(rig: Rig) -> None:
    query = """query($id: ID!) { employee(id: $id) {
      id employeeNo fullName email badgeNo status employmentType designation timeZone hiredOn leftOn version
      department { name parent { name } } location { code } shift { code } manager { fullName }
      reports { totalCount nodes { fullName } }
    } }"""
    two_levels = {"employee_by_id": 2, "department_by_id": 2}
    data = await rig.data(query, {"id": employee_id(ALAN)}, await rig.viewer(HR), repeats=two_levels)
    assert data["employee"] == {
        "id": employee_id(ALAN),
        "employeeNo": "E002",
        "fullName": "Alan Turing",
        "email": None,
        "badgeNo": None,
        "status": "ACTIVE",
        "employmentType": "FULL_TIME",
        "designation": None,
        "timeZone": "Asia/Kolkata",
        "hiredOn": "2025-01-01",
        "leftOn": None,
        "version": 1,
        "department": {"name": "Engineering", "parent": {"name": "Company"}},
        "location": {"code": "MUM"},
        "shift": {"code": "DAY"},
        "manager": {"fullName": "Ada Lovelace"},
        "reports": {
            "totalCount": 4,
            "nodes": [{"fullName": name} for name in ("Alex Kim", "Grace Hopper", "Leo Left", "Mia Chen")],
        },
    }


async def test_an_employee_by_number_in_any_case(rig: Rig) -> None:
    query = "query($no: String) { employee(employeeNo: $no) { fullName } }"
    hr = await rig.viewer(HR)
    assert await rig.data(query, {"no": " e003 "}, hr) == {"employee": {"fullName": "Grace Hopper"}}
    assert await rig.data(query, {"no": "E999"}, hr) == {"employee": None}


async def test_an_own_zone_comes_before_that_of_the_location(rig: Rig) -> None:
    query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Employee { timeZone } } }"
    zones = await rig.data(query, {"ids": [employee_id(ZOE), employee_id(LINUS)]}, await rig.viewer(HR))
    assert zones == {"nodes": [{"timeZone": "Asia/Kolkata"}, {"timeZone": "Europe/Berlin"}]}


async def test_the_default_page_is_all_by_name(rig: Rig) -> None:
    page = (await rig.data(LIST, {"first": 50}, await rig.viewer(HR)))["employees"]
    assert [edge["node"] for edge in page["edges"]] == nodes(*BY_NAME)
    assert (page["totalCount"], page["totalCountIsExact"]) == (14, True)
    assert (page["pageInfo"]["hasNextPage"], page["pageInfo"]["hasPreviousPage"]) == (False, False)


FIELDS: dict[str, Callable[[tuple[Any, ...]], Any]] = {
    "NAME": lambda row: row[1],
    "EMPLOYEE_NO": lambda row: row[2],
    "HIRED_ON": lambda row: row[3],
    "DEPARTMENT": lambda row: row[4],
}


@pytest.mark.parametrize("size", [1, 3, 14])
@pytest.mark.parametrize(
    "order",
    [
        ["NAME ASC"],
        ["NAME DESC"],
        ["EMPLOYEE_NO DESC"],
        ["HIRED_ON ASC"],
        ["HIRED_ON DESC"],
        ["DEPARTMENT ASC"],
        ["DEPARTMENT DESC", "NAME ASC"],
        ["HIRED_ON DESC", "DEPARTMENT ASC", "NAME DESC"],
    ],
    ids=" ".join,
)
async def test_all_pages_both_ways_are_the_whole_list(rig: Rig, order: list[str], size: int) -> None:
    hr = await rig.viewer(HR)
    rows = await rig.records(
        "SELECT e.id, full_name, employee_no, hired_on, d.name"
        " FROM employee e JOIN department d ON d.id = e.department_id"
    )
    terms = [term.split() for term in order]
    rows.sort(key=lambda row: row[0], reverse=terms[-1][1] == "DESC")  # ties go by id, in the direction of the last
    for field, direction in reversed(terms):
        rows.sort(key=FIELDS[field], reverse=direction == "DESC")
    variables = {"orderBy": [{"field": field, "direction": direction} for field, direction in terms]}
    whole = nodes(*(row[0] for row in rows))
    assert await walk_forwards(rig, LIST, "employees", variables, hr, size) == whole
    assert await walk_backwards(rig, LIST, "employees", variables, hr, size) == whole


async def test_a_page_between_two_cursors(rig: Rig) -> None:
    hr = await rig.viewer(HR)
    edges = (await rig.data(LIST, {"first": 50}, hr))["employees"]["edges"]
    window = {"after": edges[2]["cursor"], "before": edges[6]["cursor"]}
    first = (await rig.data(LIST, {**window, "first": 2}, hr))["employees"]
    assert [edge["node"] for edge in first["edges"]] == nodes(*BY_NAME[3:5])
    assert first["pageInfo"]["hasNextPage"] is True
    last = (await rig.data(LIST, {**window, "last": 9}, hr))["employees"]
    assert [edge["node"] for edge in last["edges"]] == nodes(*BY_NAME[3:6])
    assert (last["pageInfo"]["hasPreviousPage"], last["pageInfo"]["hasNextPage"]) == (False, True)


async def test_a_page_of_none(rig: Rig) -> None:
    page = (await rig.data(LIST, {"first": 0}, await rig.viewer(HR)))["employees"]
    assert (page["edges"], page["totalCount"]) == ([], 14)
    assert page["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False, "startCursor": None, "endCursor": None}


def org(**fields: Any) -> dict[str, Any]:
    return {"scope": fields}


def departments(*keys: int) -> list[str]:
    return [encode_id("Department", key) for key in keys]


@pytest.mark.parametrize(
    ("narrowed", "found"),
    [
        ({"search": "alex"}, (ALEX, OTHER_ALEX)),
        ({"search": "E00"}, (ADA, ALAN, ALEX, OTHER_ALEX, GRACE, LINUS, MIA, NINA, OMAR)),
        ({"search": "ada@ROLL"}, (ADA,)),
        ({"search": "100%"}, ()),
        ({"search": "_"}, ()),
        ({"search": "  "}, BY_NAME),
        ({"statuses": ["TERMINATED"]}, (LEO,)),
        ({"statuses": []}, ()),
        ({"hiredIn": {"from": "2025-06-01", "to": "2026-12-31"}}, (OTHER_ALEX, LINUS, TESS)),
        ({"activeOn": "2026-03-07"}, tuple(key for key in BY_NAME if key not in (LEO, TESS))),
        ({"activeOn": "2026-03-06"}, tuple(key for key in BY_NAME if key != TESS)),
        (org(departmentIds=departments(ENGINEERING)), (ALAN, ALEX, OTHER_ALEX, GRACE, INES, LEO, LINUS, MIA, TESS)),
        (org(departmentIds=departments(ENGINEERING), includeSubdepartments=False), (ALAN,)),
        (org(departmentIds=departments(GATE, LAB)), (NINA, PAUL, ZOE)),
        (org(departmentIds=[]), ()),
        (org(locationIds=[encode_id("Location", BERLIN)]), (OTHER_ALEX, LINUS, ZOE)),
        (org(shiftIds=[encode_id("Shift", NIGHT), encode_id("Shift", FLEX)]), (LINUS, NINA, PAUL)),
        (org(managerId=employee_id(GRACE)), (ALEX, INES, LINUS, TESS)),
        (org(employeeIds=[employee_id(key) for key in (ZOE, ADA, ADA)]), (ADA, ZOE)),
        (
            org(departmentIds=departments(BACKEND), locationIds=[encode_id("Location", MUMBAI)]),
            (ALEX, GRACE, INES, TESS),
        ),
        ({"search": "kim", "statuses": ["ACTIVE"], **org(departmentIds=departments(BACKEND))}, (ALEX,)),
        (None, BY_NAME),
    ],
)
async def test_filters(rig: Rig, narrowed: Any, found: tuple[int, ...]) -> None:
    page = (await rig.data(NAMES, {"filter": narrowed}, await rig.viewer(HR)))["employees"]
    assert (page["nodes"], page["totalCount"]) == (nodes(*found), len(found))


async def test_my_team_is_who_reports_to_the_viewer(rig: Rig) -> None:
    page = (await rig.data(NAMES, {"filter": org(myTeam=True)}, await rig.viewer(MANAGER)))["employees"]
    assert page["nodes"] == nodes(OTHER_ALEX, GRACE, LEO, MIA)


async def test_a_shift_assigned_today_counts(fresh_rig: Rig) -> None:
    async with fresh_rig.rows() as rows:
        await rows.assignment(ADA, NIGHT, date(2026, 3, 17), date(2026, 3, 17))
        await rows.assignment(ALAN, NIGHT, date(2026, 3, 18))
    variables = {"filter": org(shiftIds=[encode_id("Shift", NIGHT)])}
    page = (await fresh_rig.data(NAMES, variables, await fresh_rig.viewer(HR)))["employees"]
    assert page["nodes"] == nodes(ADA, NINA, PAUL)


async def test_everybody_is_there_once(rig: Rig) -> None:
    page = (await rig.data(NAMES, None, await rig.viewer(HR)))["employees"]
    assert sorted(node["id"] for node in page["nodes"]) == sorted(employee_id(key) for key in EVERYBODY)
