"""Random organisations and viewers: every path of the API shows exactly whom the oracle says."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import encode_id
from tests.kit.answers import Answer
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.permission.drawn import EMAIL, NOW, TODAY, YESTERDAY, companies, viewers, write
from tests.permission.oracle import (
    SMALLEST_GROUP,
    Asking,
    Company,
    Person,
    ancestors,
    needs_groups,
    sees,
    sees_as_pseudonym,
    sees_by_name,
)

BOTH = 'period: { range: { from: "2026-03-16", to: "2026-03-17" } }'
BEFORE = 'period: { range: { from: "2026-03-16", to: "2026-03-16" } }'
SUMS = "headcount presentDays pendingCount suppressed"
LISTS = {
    "employees": "{ employees(first: 500) { totalCount nodes { id fullName employeeNo email } } }",
    "attendance": f"""{{ attendance(first: 500, filter: {{ {BOTH} }}) {{ totalCount
      nodes {{ id employee {{ id fullName }} }} totals {{ {SUMS} }} }} }}""",
    "monthGrid": "{ monthGrid(year: 2026, month: 3, first: 500) { rows { employee { id fullName } codes } } }",
}
STATS = f"""query($by: [Dimension!]!) {{ stats(filter: {{ {BEFORE} }}, groupBy: $by) {{
  totals {{ {SUMS} }} rows {{ keys {{ value label }} metrics {{ {SUMS} }} }} }} }}"""
DASHBOARD = f"""{{ today {{ inNow exceptionsOpen totals {{ {SUMS} }}
  lateNotIn {{ id }} onLeave {{ totalCount nodes {{ id }} }}
  byDepartment {{ keys {{ value }} metrics {{ {SUMS} }} }} }} }}"""
DEPARTMENTS = f"""{{ departments {{ id manager {{ id }} employees {{ totalCount nodes {{ id }} }}
  stats({BEFORE}) {{ {SUMS} }} }} }}"""
ONE = f"""query($id: ID!, $no: String!, $day: ID!, $punch: ID!) {{
  employee(id: $id) {{ fullName manager {{ id }} reports {{ totalCount nodes {{ id }} }}
    summary({BEFORE}) {{ {SUMS} }} presence {{ state }} attendance({BOTH}) {{ id }} schedule({BOTH}) {{ date }} }}
  byNo: employee(employeeNo: $no) {{ id }}
  attendanceDay(employeeId: $id, date: "2026-03-16") {{ id }}
  node(id: $day) {{ id }} nodes(ids: [$id, $day, $punch]) {{ id }}
}}"""


class Path:
    """The paths of one drawn company and viewer."""

    def __init__(self, rig: Rig, company: Company, asking: Asking, viewer: Any) -> None:
        self.rig, self.company, self.asking, self.viewer = rig, company, asking, viewer
        self.seen = [person for person in company.people if sees(company, asking, person)]
        self.hides = needs_groups(company, asking)
        self.too_few = self.hides and 0 < len(self.seen) < SMALLEST_GROUP

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        often = dict.fromkeys(("stats", "headcount", "employee_by_id"), 3)
        return await self.rig.execute(query, variables, self.viewer, repeats=often)

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        answer = await self.ask(query, variables)
        assert not answer.errors, answer.errors
        return answer.data

    def name(self, person: Person) -> str:
        named = sees_by_name(self.company, self.asking, person)
        return f"Name {person.id}" if named else f"Employee {person.id}"

    def sums(self, people: Iterable[Person], pending: bool = False) -> dict[str, Any]:
        """Figures of one day each: of yesterday, when all were present, or of today, which is open."""
        heads = len(list(people))
        if self.hides and 0 < heads < SMALLEST_GROUP:
            return {"headcount": 0, "presentDays": 0.0, "pendingCount": 0, "suppressed": True}
        present, open_ = (0, heads) if pending else (heads, 0)
        return {"headcount": heads, "presentDays": float(present), "pendingCount": open_, "suppressed": False}

    def groups(self, column: str, pending: bool = False) -> dict[str, Any]:
        found = {}
        for number in self.company.parent:
            people = [person for person in self.seen if getattr(person, column) == number]
            sums = self.sums(people, pending)
            if people and not sums["suppressed"]:
                found[encode_id("Department", number)] = sums
        return found

    # ------------------------------------------------------------------------------------------------------- holding

    async def hold_lists(self) -> None:
        if self.too_few:
            for query in LISTS.values():
                assert (await self.ask(query)).code == "FORBIDDEN"
            return
        page = (await self.data(LISTS["employees"]))["employees"]
        assert {node["id"]: node["fullName"] for node in page["nodes"]} == {
            ident(person): self.name(person) for person in self.seen
        }
        assert page["totalCount"] == len(page["nodes"]) == len(self.seen)
        for node in page["nodes"]:
            assert (node["email"] is None) == node["fullName"].startswith("Employee")
        listed = (await self.data(LISTS["attendance"]))["attendance"]
        assert sorted(node["id"] for node in listed["nodes"]) == sorted(
            day_id(person, day) for person in self.seen for day in (YESTERDAY, TODAY)
        )
        assert {node["employee"]["fullName"] for node in listed["nodes"]} == {self.name(one) for one in self.seen}
        assert listed["totalCount"] == 2 * len(self.seen)
        assert listed["totals"] == {**self.sums(self.seen), "pendingCount": len(self.seen)}
        grid = (await self.data(LISTS["monthGrid"]))["monthGrid"]["rows"]
        assert {row["employee"]["id"]: row["employee"]["fullName"] for row in grid} == {
            ident(person): self.name(person) for person in self.seen
        }

    async def hold_statistics(self) -> None:
        by_department = (await self.data(STATS, {"by": ["DEPARTMENT"]}))["stats"]
        assert by_department["totals"] == self.sums(self.seen)
        rows = {row["keys"][0]["value"]: row["metrics"] for row in by_department["rows"]}
        assert rows == self.groups("old_department")
        by_employee = (await self.data(STATS, {"by": ["EMPLOYEE"]}))["stats"]["rows"]
        shown = [] if self.hides else self.seen
        assert {row["keys"][0]["value"]: row["keys"][0]["label"] for row in by_employee} == {
            ident(person): self.name(person) for person in shown
        }

    async def hold_today(self) -> None:
        today = (await self.data(DASHBOARD))["today"]
        assert today["totals"] == self.sums(self.seen, pending=True)
        assert today["inNow"] == (0 if self.too_few else len(self.seen))
        assert today["exceptionsOpen"] == 0
        assert (today["lateNotIn"], today["onLeave"]["nodes"], today["onLeave"]["totalCount"]) == ([], [], 0)
        rows = {row["keys"][0]["value"]: row["metrics"] for row in today["byDepartment"]}
        assert rows == self.groups("department", pending=True)

    async def hold_departments(self) -> None:
        for row in (await self.data(DEPARTMENTS))["departments"]:
            number = next(n for n in self.company.parent if encode_id("Department", n) == row["id"])
            members = sorted(ident(person) for person in self.seen if person.department == number)
            assert sorted(node["id"] for node in row["employees"]["nodes"]) == members
            assert row["employees"]["totalCount"] == len(members)
            below = [one for one in self.seen if number in ancestors(self.company, one.old_department)]
            assert row["stats"] == self.sums(below)
            leader = self.company.leader[number]
            shown = leader is not None and self.company.people[leader - 1] in self.seen
            assert row["manager"] == ({"id": encode_id("Employee", leader)} if shown else None)

    async def hold_one(self, person: Person) -> None:
        [(punch,)] = await self.rig.records("SELECT min(id) FROM punch WHERE employee_id = :id", id=person.id)
        ids = {"id": ident(person), "day": day_id(person, YESTERDAY), "punch": encode_id("Punch", punch)}
        found = await self.data(ONE, {**ids, "no": f"N{person.id}"})
        named = sees_by_name(self.company, self.asking, person)
        assert found["byNo"] == ({"id": ids["id"]} if named else None)
        if person not in self.seen:
            assert found == {**dict.fromkeys(found), "nodes": [None] * 3}
            return
        assert [node["id"] for node in found["nodes"]] == [ids["id"], ids["day"], ids["punch"]]
        assert found["node"] == found["attendanceDay"] == {"id": ids["day"]}
        one, people = found["employee"], self.company.people
        assert one["fullName"] == self.name(person)
        shown = person.manager is not None and people[person.manager - 1] in self.seen
        assert one["manager"] == ({"id": encode_id("Employee", person.manager)} if shown else None)
        reports = sorted(ident(other) for other in self.seen if other.manager == person.id)
        assert sorted(node["id"] for node in one["reports"]["nodes"]) == reports
        assert one["reports"]["totalCount"] == len(reports)
        assert one["summary"] == {"headcount": 1, "presentDays": 1.0, "pendingCount": 0, "suppressed": False}
        assert one["presence"] == {"state": "IN"}
        assert [day["id"] for day in one["attendance"]] == [day_id(person, TODAY), day_id(person, YESTERDAY)]
        assert len(one["schedule"]) == 2


def ident(person: Person) -> str:
    return encode_id("Employee", person.id)


def day_id(person: Person, day: object) -> str:
    return encode_id("AttendanceDay", f"{person.id}:{day}")


@pytest.fixture(scope="module")
def drawn_url(databases: Databases) -> Any:
    url = databases.new()
    yield url
    databases.drop(url)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_every_path_shows_whom_the_oracle_says(databases: Databases, drawn_url: str, data: st.DataObject) -> None:
    company = data.draw(companies())
    asking = data.draw(viewers(company))
    async with open_rig(drawn_url, databases.redis_url, NOW) as rig:
        await write(rig, company, asking)
        path = Path(rig, company, asking, await rig.viewer(EMAIL))
        assert all(sees_as_pseudonym(company, asking, one) or sees_by_name(company, asking, one) for one in path.seen)
        for _ in ("cold", "warm"):
            await path.hold_lists()
            await path.hold_statistics()
            await path.hold_today()
            await path.hold_departments()
        for person in company.people[:3]:
            await path.hold_one(person)
