"""Any object by its global id; what is broken, foreign or unknown."""

from base64 import urlsafe_b64encode
from datetime import date

import pytest

from domain.ids import encode_id
from tests.kit.rig import Rig
from tests.kit.small_company import ADMIN, ALEX, ANALYST, EMPLOYEE, GRACE, HR, MIA

NODE = "query($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
ALL_TYPES = ("Employee", "Department", "Location", "Shift", "LeaveType", "Punch")


async def test_every_type_of_node_in_the_order_of_the_ids(rig: Rig) -> None:
    ids = [encode_id(name, 1) for name in ALL_TYPES] + [encode_id("AttendanceDay", f"{GRACE}:2026-03-16")]
    answer = await rig.execute(NODES, {"ids": ids}, await rig.viewer(HR), repeats={"employee_by_id": 2})
    found = answer.data["nodes"]
    assert [node["__typename"] for node in found] == [*ALL_TYPES, "AttendanceDay"]
    assert [node["id"] for node in found] == ids


async def test_a_node_is_the_object_itself(rig: Rig) -> None:
    query = "query($id: ID!) { node(id: $id) { ... on AttendanceDay { workDate employee { fullName } } } }"
    node = await rig.data(query, {"id": encode_id("AttendanceDay", f"{ALEX}:2026-03-16")}, await rig.viewer(HR))
    assert node == {"node": {"workDate": "2026-03-16", "employee": {"fullName": "Alex Kim"}}}


async def test_nodes_repeat_and_lack(rig: Rig) -> None:
    one, none = encode_id("Shift", 1), encode_id("Shift", 99)
    answer = await rig.execute(NODES, {"ids": [one, none, one]}, await rig.viewer(HR))
    assert answer.data["nodes"] == [{"__typename": "Shift", "id": one}, None, {"__typename": "Shift", "id": one}]
    assert answer.sql == ["shift_by_id"]
    assert (await rig.execute(NODES, {"ids": []}, await rig.viewer(HR))).data == {"nodes": []}


@pytest.mark.parametrize("name", [*ALL_TYPES, "User"])
async def test_an_unknown_key_is_null(rig: Rig, name: str) -> None:
    for key in (0, 12_345, 2**63 - 1):
        assert await rig.data(NODE, {"id": encode_id(name, key)}, await rig.viewer(HR)) == {"node": None}


async def test_a_day_that_is_not_there_is_null(rig: Rig) -> None:
    for key in (f"{GRACE}:2020-01-01", f"99:{date.min}", f"99:{date.max}"):
        assert await rig.data(NODE, {"id": encode_id("AttendanceDay", key)}, await rig.viewer(HR)) == {"node": None}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "Employee:1",
        "é",
        "====",
        "a" * 5_000,
        urlsafe_b64encode(b"\xff\xfe:1").decode(),
        encode_id("Employee", "one"),
        encode_id("Employee", -1),
        encode_id("Employee", 2**63),
        encode_id("Employee", "1 OR 1=1"),
        encode_id("ShiftRule", 1),
        encode_id("__Schema", 1),
        encode_id("AttendanceDay", 1),
        encode_id("AttendanceDay", "1:2026-02-30"),
        encode_id("AttendanceDay", "x:2026-03-16"),
        encode_id("Employee", "²"),
    ],
)
async def test_a_broken_or_foreign_id_is_refused_by_name(rig: Rig, text: str) -> None:
    hr = await rig.viewer(HR)
    one = await rig.execute(NODE, {"id": text}, hr)
    assert one.code == "BAD_USER_INPUT"
    assert one.message.startswith("id: needed ") and len(one.message) < 250
    many = await rig.execute(NODES, {"ids": [encode_id("Shift", 1), text]}, hr)
    assert many.code == "BAD_USER_INPUT"
    assert many.message.startswith("ids[1]: needed ")


async def test_too_many_ids(rig: Rig) -> None:
    answer = await rig.execute(NODES, {"ids": [encode_id("Shift", 1)] * 201}, await rig.viewer(HR))
    assert (answer.code, answer.message) == ("BAD_USER_INPUT", "ids: needed at most 200 ids, got 201")


async def test_an_id_of_another_type_as_an_argument(rig: Rig) -> None:
    query = "query($id: ID!) { employee(id: $id) { id } }"
    answer = await rig.execute(query, {"id": encode_id("Shift", 1)}, await rig.viewer(HR))
    assert answer.message == f"id: needed the id of an Employee, got '{encode_id('Shift', 1)}'"


async def test_users_are_their_own_and_for_administrators(rig: Rig) -> None:
    own = await rig.viewer(EMPLOYEE)
    id_ = encode_id("User", own.user_id)
    assert (await rig.data(NODE, {"id": id_}, own))["node"] == {"__typename": "User", "id": id_}
    assert (await rig.data(NODE, {"id": id_}, await rig.viewer(ADMIN)))["node"] == {"__typename": "User", "id": id_}
    for email in (HR, ANALYST):
        assert (await rig.data(NODE, {"id": id_}, await rig.viewer(email)))["node"] is None


async def test_an_employee_sees_nodes_of_their_own_only(rig: Rig) -> None:
    mia = await rig.viewer(EMPLOYEE)
    days = [encode_id("AttendanceDay", f"{key}:2026-03-16") for key in (MIA, GRACE)]
    punches = [
        encode_id("Punch", id_)
        for (id_,) in await rig.records(
            "SELECT min(id) FROM punch WHERE employee_id = 7 UNION ALL SELECT min(id) FROM punch WHERE employee_id = 3"
        )
    ]
    ids = [encode_id("Employee", MIA), encode_id("Employee", GRACE), *days, *punches]
    answer = await rig.execute(NODES, {"ids": ids}, mia, repeats={"employee_by_id": 2})
    assert [node is not None for node in answer.data["nodes"]] == [True, False] * 3


async def test_nobody_sees_anything_without_signing_in(rig: Rig) -> None:
    for query, variables in ((NODE, {"id": encode_id("Shift", 1)}), (NODES, {"ids": []}), ("{ shifts { id } }", {})):
        answer = await rig.execute(query, variables)
        assert (answer.code, answer.data or {"node": None}) == ("UNAUTHENTICATED", {"node": None})


async def test_the_ids_of_rows_under_a_pseudonym_look_up_nothing(rig: Rig) -> None:
    """Asking for one is a group of one: listed, unknown and out of reach look alike."""
    listed = """{ employees { nodes { id } }
      attendance(filter: { period: { range: { from: "2026-03-16", to: "2026-03-16" } } }) {
        nodes { id punches { id } } } }"""
    analyst = await rig.viewer(ANALYST)
    found = await rig.data(listed, viewer=analyst, repeats={"employee_by_id": 2})
    people = [row["id"] for row in found["employees"]["nodes"]]
    days = [row["id"] for row in found["attendance"]["nodes"]]
    punches = [punch["id"] for row in found["attendance"]["nodes"] for punch in row["punches"]]
    assert min(len(people), len(days), len(punches)) >= 5
    unknown = [encode_id("Employee", 404), encode_id("AttendanceDay", "404:2026-03-16"), encode_id("Punch", 404)]
    ids = [*people, *days, *punches, *unknown]
    looked_up = await rig.data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}, analyst)
    assert looked_up["nodes"] == [None] * len(ids)
