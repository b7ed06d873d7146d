"""Random organisations and viewers: every path of the API shows exactly whom the oracle says."""

from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import encode_id
from tests.kit.answers import Answer
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.permission.drawn import EMAIL, NOW, TODAY, YESTERDAY, companies, viewers, write
from tests.permission.oracle import (
    Asking,
    Company,
    Person,
    ancestors,
    needs_groups,
    sees_by_name,
    shown_of,
)

BOTH = 'period: { range: { from: "2026-03-16", to: "2026-03-17" } }'
BEFORE = 'period: { range: { from: "2026-03-16", to: "2026-03-16" } }'
SUMS = "headcount presentDays absentDays suppressed"
LISTS = {
    "employees": "{ employees(first: 500) { totalCount nodes { id fullName employeeNo email } } }",
    "attendance": f"""{{ attendance(first: 500, filter: {{ {BOTH} }}) {{ totalCount
      nodes {{ id employee {{ id fullName }} }} totals {{ {SUMS} }} }} }}""",
    "monthGrid": """{ monthGrid(year: 2026, month: 3, first: 500) { rows {
      employee { id fullName } codes totals { suppressed } } } }""",
}
STATS = f"""query($by: [Dimension!]!) {{ stats(filter: {{ {BEFORE} }}, groupBy: $by) {{
  totals {{ {SUMS} }} rows {{ keys {{ value label }} metrics {{ {SUMS} }} }} }} }}"""
DASHBOARD = f"""{{ today {{ inNow exceptionsOpen totals {{ {SUMS} }}
  lateNotIn {{ id fullName }} onLeave {{ totalCount nodes {{ id fullName }} }}
  byDepartment {{ keys {{ value }} metrics {{ {SUMS} }} }} }} }}"""
PERSON = f"""manager {{ id }} reports {{ totalCount nodes {{ id }} }} summary({BEFORE}) {{ {SUMS} }}
  presence {{ state }} attendance({BOTH}) {{ id }} schedule({BOTH}) {{ date }}"""
NESTED = f"{{ employees(first: 500) {{ nodes {{ id {PERSON} }} }} }}"
DEPARTMENTS = f"""{{ departments {{ id manager {{ id }} employees {{ totalCount nodes {{ id }} }}
  stats({BEFORE}) {{ {SUMS} }} }} }}"""
ONE = f"""query($id: ID!, $no: String!, $day: ID!, $punch: ID!) {{
  employee(id: $id) {{ fullName {PERSON} }}
  byNo: employee(employeeNo: $no) {{ id }}
  attendanceDay(employeeId: $id, date: "2026-03-16") {{ id }}
  node(id: $day) {{ id }} nodes(ids: [$id, $day, $punch]) {{ id }}
}}"""


class Path:
    """The paths of one drawn company and viewer."""

    def __init__(self, rig: Rig, company: Company, asking: Asking, viewer: Any) -> None:
        self.rig, self.company, self.asking, self.viewer = rig, company, asking, viewer
        self.hides = needs_groups(company, asking)
        self.named = [person for person in company.people if sees_by_name(company, asking, person)]
        self.shown = self.shown_of(company.people)

    def shown_of(self, people: Iterable[Person]) -> list[Person]:
        return shown_of(self.company, self.asking, people)

    async def ask(self, query: str, variables: dict[str, Any] | None = None) -> Answer:
        """The answer; what a group is measured by is looked up for those seen by name as well."""
        names = (
            "stats",
            "headcount",
            "employee_by_id",
            "employee_count",
            "today",
            "present_now",
            "headcount_of_department",
            "stats_of_department",
        )
        more = (
            "count_below_department",
            "count_below_manager",
            "employees_below_manager",
            "employees_below_department",
        )
        return await self.rig.execute(query, variables, self.viewer, repeats=dict.fromkeys((*names, *more), 4))

    async def data(self, query: str, variables: dict[str, Any] | None = None) -> Any:
        answer = await self.ask(query, variables)
        assert not answer.errors, answer.errors
        return answer.data

    def name(self, person: Person) -> str:
        return f"Name {person.id}" if person in self.named else f"Employee {person.id}"

    def sums(self, people: Iterable[Person], *, today: bool = False) -> dict[str, Any]:
        """Figures of one day each: of yesterday, or of today, which is open."""
        shown = self.shown_of(people)
        absent = 0 if today else sum(person.absent for person in shown)
        present = 0 if today else len(shown) - absent
        return {
            "headcount": len(shown),
            "presentDays": float(present),
            "absentDays": float(absent),
            "suppressed": self.hides and not shown,
        }

    def groups(self, column: str, *, today: bool = False) -> dict[str, Any]:
        found = {}
        for number in self.company.parent:
            people = [person for person in self.company.people if getattr(person, column) == number]
            if self.shown_of(people):
                found[encode_id("Department", number)] = self.sums(people, today=today)
        return found

    # ------------------------------------------------------------------------------------------------------- holding

    async def hold_lists(self) -> None:
        if self.hides and not self.shown:
            for query in LISTS.values():
                answer = await self.ask(query)
                assert not list(_nodes(answer.data)) if not answer.errors else answer.code == "FORBIDDEN"
            return
        page = (await self.data(LISTS["employees"]))["employees"]
        assert {node["id"]: node["fullName"] for node in page["nodes"]} == {
            ident(person): self.name(person) for person in self.shown
        }
        assert page["totalCount"] == len(page["nodes"]) == len(self.shown)
        for node in page["nodes"]:
            assert (node["email"] is None) == node["fullName"].startswith("Employee")
        listed = (await self.data(LISTS["attendance"]))["attendance"]
        assert sorted(node["id"] for node in listed["nodes"]) == sorted(
            day_id(person, day) for person in self.shown for day in (YESTERDAY, TODAY)
        )
        assert {node["employee"]["fullName"] for node in listed["nodes"]} == {self.name(one) for one in self.shown}
        assert listed["totalCount"] == 2 * len(self.shown)
        assert listed["totals"] == self.sums(self.company.people)
        grid = (await self.data(LISTS["monthGrid"]))["monthGrid"]["rows"]
        assert {row["employee"]["id"]: row["employee"]["fullName"] for row in grid} == {
            ident(person): self.name(person) for person in self.shown
        }
        hidden = {row["employee"]["id"]: row["totals"]["suppressed"] for row in grid}
        assert hidden == {ident(person): person not in self.named for person in self.shown}

    async def hold_statistics(self) -> None:
        by_department = (await self.data(STATS, {"by": ["DEPARTMENT"]}))["stats"]
        assert by_department["totals"] == self.sums(self.company.people)
        rows = {row["keys"][0]["value"]: row["metrics"] for row in by_department["rows"]}
        assert rows == self.groups("old_department")
        by_employee = (await self.data(STATS, {"by": ["EMPLOYEE"]}))["stats"]["rows"]
        assert {row["keys"][0]["value"]: row["keys"][0]["label"] for row in by_employee} == {
            ident(person): self.name(person) for person in self.named
        }

    async def hold_today(self) -> None:
        today = (await self.data(DASHBOARD))["today"]
        assert today["totals"] == self.sums(self.company.people, today=True)
        assert today["inNow"] == sum(person.today == "IN" for person in self.shown)
        assert today["exceptionsOpen"] == sum(person.absent for person in self.shown)
        for state, found in (("LATE_NOT_IN", today["lateNotIn"]), ("ON_LEAVE", today["onLeave"]["nodes"])):
            listed = self.shown_of(person for person in self.company.people if person.today == state)
            assert {node["id"]: node["fullName"] for node in found} == {ident(one): self.name(one) for one in listed}
        assert today["onLeave"]["totalCount"] == len(today["onLeave"]["nodes"])
        rows = {row["keys"][0]["value"]: row["metrics"] for row in today["byDepartment"]}
        assert rows == self.groups("department", today=True)

    async def hold_departments(self) -> None:
        for row in (await self.data(DEPARTMENTS))["departments"]:
            number = next(n for n in self.company.parent if encode_id("Department", n) == row["id"])
            members = self.shown_of(person for person in self.company.people if person.department == number)
            assert sorted(node["id"] for node in row["employees"]["nodes"]) == sorted(map(ident, members))
            assert row["employees"]["totalCount"] == len(members)
            below = [one for one in self.company.people if number in ancestors(self.company, one.old_department)]
            assert row["stats"] == self.sums(below)
            assert row["manager"] == self.only_named(self.company.leader[number])

    async def hold_nested(self) -> None:
        answer = await self.ask(NESTED)
        for one in answer.data["employees"]["nodes"] if answer.data else ():
            self.hold_person(one, next(person for person in self.shown if ident(person) == one["id"]))

    def hold_person(self, one: dict[str, Any], person: Person) -> None:
        """What hangs on an employee: reports of a pseudonym are looked for among those seen by name only."""
        assert one["manager"] == self.only_named(person.manager)
        reports = [other for other in self.company.people if other.manager == person.id]
        found = self.shown_of(reports) if person in self.named else [one for one in reports if one in self.named]
        assert sorted(node["id"] for node in one["reports"]["nodes"]) == sorted(map(ident, found))
        assert one["reports"]["totalCount"] == len(found)
        alone = {"headcount": 0, "presentDays": 0.0, "absentDays": 0.0, "suppressed": True}
        assert one["summary"] == (self.sums([person]) if person in self.named else alone)
        assert one["presence"] == {"state": person.today}
        assert [day["id"] for day in one["attendance"]] == [day_id(person, TODAY), day_id(person, YESTERDAY)]
        assert len(one["schedule"]) == 2

    async def hold_one(self, person: Person) -> None:
        """Who is picked by id or number is seen by name or not at all."""
        punches = await self.rig.records("SELECT min(id) FROM punch WHERE employee_id = :id", id=person.id)
        punch = punches[0][0] or 0
        ids = {"id": ident(person), "day": day_id(person, YESTERDAY), "punch": encode_id("Punch", punch)}
        found = await self.data(ONE, {**ids, "no": f"N{person.id}"})
        if person not in self.named:
            assert found == {**dict.fromkeys(found), "nodes": [None] * 3}
            return
        assert found["byNo"] == {"id": ids["id"]}
        assert [node and node["id"] for node in found["nodes"]] == [
            ids["id"],
            ids["day"],
            ids["punch"] if punch else None,
        ]
        assert found["node"] == found["attendanceDay"] == {"id": ids["day"]}
        assert found["employee"]["fullName"] == f"Name {person.id}"
        self.hold_person(found["employee"], person)

    def only_named(self, number: int | None) -> dict[str, str] | None:
        """A single employee that something refers to."""
        named = number is not None and self.company.people[number - 1] in self.named
        return {"id": encode_id("Employee", number)} if named else None


def _nodes(data: Any) -> Iterator[Any]:
    """Everything in the lists of an answer."""
    for found in (data or {}).values():
        yield from [*found.get("nodes", ()), *found.get("rows", ())]


def ident(person: Person) -> str:
    return encode_id("Employee", person.id)


def day_id(person: Person, day: object) -> str:
    return encode_id("AttendanceDay", f"{person.id}:{day}")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_every_path_shows_whom_the_oracle_says(databases: Databases, drawn_url: str, data: st.DataObject) -> None:
    company = data.draw(companies())
    asking = data.draw(viewers(company))
    async with open_rig(drawn_url, databases.redis_url, NOW) as rig:
        await write(rig, company, asking)
        path = Path(rig, company, asking, await rig.viewer(EMAIL))
        for _ in ("cold", "warm"):
            await path.hold_lists()
            await path.hold_statistics()
            await path.hold_today()
            await path.hold_departments()
            await path.hold_nested()
        for person in company.people[:3]:
            await path.hold_one(person)
