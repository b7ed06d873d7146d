"""Random questions of random viewers: no filter, order, bound or dimension shows people in too small groups."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.ids import encode_id
from tests.kit.databases import Databases
from tests.kit.rig import Rig, open_rig
from tests.permission.drawn import EMAIL, LOCATIONS, NOW, companies, viewers, write
from tests.permission.oracle import Asking, Company, Person, ancestors, needs_groups, sees, sees_by_name, shown_of

QUESTIONS_EACH = 6
YESTERDAY = {"range": {"from": "2026-03-16", "to": "2026-03-16"}}
TODAY = {"range": {"from": "2026-03-17", "to": "2026-03-17"}}
FIGURES = "headcount absentDays suppressed"
ATTENDANCE = f"""query($filter: AttendanceFilter!, $order: [AttendanceOrder!]) {{
  attendance(filter: $filter, orderBy: $order, first: 500) {{
    totalCount totalCountIsExact totals {{ {FIGURES} }} nodes {{ employee {{ id }} }} }} }}"""
EMPLOYEES = """query($filter: EmployeeFilter, $order: [EmployeeOrder!]) {
  employees(filter: $filter, orderBy: $order, first: 500) { totalCount nodes { id } } }"""
GRID = """query($scope: OrgScope) {
  monthGrid(year: 2026, month: 3, scope: $scope, first: 500) { rows { employee { id } } } }"""
GLANCE = """query($scope: OrgScope) { today(scope: $scope) { inNow exceptionsOpen totals { headcount suppressed }
  lateNotIn { id } onLeave { nodes { id } } byDepartment { metrics { headcount } } } }"""
STATS = f"""query($filter: AttendanceFilter!, $by: [Dimension!]!, $having: [MetricHaving!], $limit: Int) {{
  stats(filter: $filter, groupBy: $by, having: $having, limit: $limit, compareToPrevious: true,
    orderBy: {{ metric: HEADCOUNT, direction: ASC }}) {{
    truncated provisional totals {{ {FIGURES} }} previousTotals {{ {FIGURES} }}
    rows {{ keys {{ value }} metrics {{ {FIGURES} }} previous {{ {FIGURES} }} }} }} }}"""
COLUMN_BY_DIMENSION = {"LOCATION": "location", "MANAGER": "manager", "EMPLOYEE": "id", "STATUS": "absent"}


@dataclass(frozen=True)
class Question:
    """What is asked: every part that is given narrows, as in OrgScope and the filters."""

    departments: tuple[int, ...] | None
    below: bool
    locations: tuple[int, ...] | None
    manager: int | None
    people: tuple[int, ...] | None
    absent: bool | None
    by_name: bool
    dimensions: tuple[str, ...]
    most: int | None
    limit: int


def questions(company: Company) -> st.SearchStrategy[Question]:
    departments, people = st.sampled_from(sorted(company.parent)), st.integers(1, len(company.people))
    rarely = st.sampled_from((False, False, False, True))
    return st.builds(
        Question,
        departments=st.none() | st.lists(departments, max_size=3, unique=True).map(tuple),
        below=st.booleans(),
        locations=st.none() | st.none() | st.lists(st.integers(1, LOCATIONS), min_size=1, unique=True).map(tuple),
        manager=st.none() | st.none() | st.none() | people,
        people=st.none() | st.none() | st.none() | st.lists(people, max_size=7, unique=True).map(tuple),
        absent=st.none() | st.booleans(),
        by_name=rarely,
        dimensions=st.lists(st.sampled_from(sorted([*COLUMN_BY_DIMENSION, "DEPARTMENT"])), max_size=2, unique=True).map(
            tuple
        ),
        most=st.none() | st.none() | st.integers(1, 6),
        limit=st.integers(1, 4) | st.just(500),
    )


class Asked:
    """One question, its variables, and who the oracle says it is about."""

    def __init__(self, rig: Rig, company: Company, asking: Asking, viewer: Any, question: Question) -> None:
        self.rig, self.company, self.asking, self.viewer, self.question = rig, company, asking, viewer, question
        self.hides = needs_groups(company, asking)
        picks = question.manager is not None or question.people is not None
        named = {person.id for person in company.people if sees_by_name(company, asking, person)}
        self.found = [person for person in company.people if not picks or person.id in named]
        self.named = [person for person in self.found if person.id in named]

    @property
    def scope(self) -> dict[str, Any]:
        asked = self.question
        return {
            "departmentIds": ids("Department", asked.departments),
            "includeSubdepartments": asked.below,
            "locationIds": ids("Location", asked.locations),
            "managerId": None if asked.manager is None else encode_id("Employee", asked.manager),
            "employeeIds": ids("Employee", asked.people),
        }

    def about(self, column: str, absent: bool | None = None, by_name: bool = False) -> list[Person]:
        """Whom it is about by the department in `column`: who is left of those."""
        return self.left(self.all_about(column, absent, by_name))

    def all_about(self, column: str, absent: bool | None = None, by_name: bool = False) -> list[Person]:
        asked = self.question
        pool = self.named if by_name else self.found
        return [
            person
            for person in pool
            if (asked.departments is None or self._lies_in(getattr(person, column)))
            and (asked.locations is None or person.location in asked.locations)
            and asked.manager in (None, person.manager)
            and (asked.people is None or person.id in asked.people)
            and absent in (None, person.absent)
        ]

    def _lies_in(self, department: int) -> bool:
        above = ancestors(self.company, department) if self.question.below else (department,)
        return not set(above).isdisjoint(self.question.departments or ())

    def sees(self, person: Person) -> bool:
        return sees(self.company, self.asking, person)

    def left(self, people: Iterable[Person]) -> list[Person]:
        return shown_of(self.company, self.asking, people)

    async def ask(self, query: str, variables: dict[str, Any]) -> Any:
        """The data; None where nobody is left and the question is refused for that."""
        often = ("stats", "headcount", "headcount_of_department", "employee_count", "today", "present_now")
        answer = await self.rig.execute(
            query, variables, self.viewer, repeats=dict.fromkeys((*often, "employee_by_id"), 6)
        )
        if answer.errors:
            assert (answer.code, self.hides) == ("FORBIDDEN", True), answer.errors
            return None
        return answer.data

    def figures(self, people: list[Person], today: bool = False) -> dict[str, Any]:
        absent = 0 if today else sum(person.absent for person in people)
        return {"headcount": len(people), "absentDays": float(absent), "suppressed": self.hides and not people}

    # ------------------------------------------------------------------------------------------------------- holding

    async def hold_attendance(self) -> None:
        asked = self.question
        statuses = None if asked.absent is None else ["ABSENT" if asked.absent else "PRESENT"]
        order = [{"field": "EMPLOYEE_NAME"}] if asked.by_name else [{"field": "LATE_MINUTES"}]
        filter_ = {"period": YESTERDAY, "scope": self.scope, "statuses": statuses}
        data = await self.ask(ATTENDANCE, {"filter": filter_, "order": order})
        people = self.about("old_department", asked.absent, asked.by_name)
        if data is None:
            assert people == []
            return
        found = data["attendance"]
        assert Counter(node["employee"]["id"] for node in found["nodes"]) == Counter(map(ident, people))
        assert (found["totalCount"], found["totals"]) == (len(people), self.figures(people))

    async def hold_employees(self) -> None:
        order = [{"field": "HIRED_ON"}] if self.question.by_name else [{"field": "DEPARTMENT"}]
        data = await self.ask(EMPLOYEES, {"filter": {"scope": self.scope}, "order": order})
        self.hold_list(data and data["employees"]["nodes"], self.about("department", by_name=self.question.by_name))
        searched = await self.ask(EMPLOYEES, {"filter": {"scope": self.scope, "search": "Name"}})
        self.hold_list(searched and searched["employees"]["nodes"], self.about("department", by_name=True))

    async def hold_grid(self) -> None:
        data = await self.ask(GRID, {"scope": self.scope})
        rows = data and [row["employee"] for row in data["monthGrid"]["rows"]]
        self.hold_list(rows, self.about("department"))

    def hold_list(self, found: list[dict[str, str]] | None, people: list[Person]) -> None:
        assert sorted(node["id"] for node in found or ()) == sorted(map(ident, people))

    async def hold_glance(self) -> None:
        today, people = (await self.ask(GLANCE, {"scope": self.scope}))["today"], self.about("department")
        assert today["inNow"] == sum(person.today == "IN" for person in people)
        grouped = not all(person in self.named for person in people)
        pool = [one for one in self.all_about("old_department") if one in self.named or (grouped and self.sees(one))]
        assert today["exceptionsOpen"] == sum(person.absent for person in pool)
        assert today["totals"] == {"headcount": len(people), "suppressed": self.hides and not people}
        for state, found in (("LATE_NOT_IN", today["lateNotIn"]), ("ON_LEAVE", today["onLeave"]["nodes"])):
            self.hold_list(found, self.left(person for person in people if person.today == state))
        by_department = [self.left(one for one in people if one.department == n) for n in self.company.parent]
        heads = [row["metrics"]["headcount"] for row in today["byDepartment"]]
        assert sorted(heads) == sorted(len(members) for members in by_department if members)

    async def hold_stats(self) -> None:
        """Groups of today, beside what the same groups were yesterday."""
        asked = self.question
        having = None if asked.most is None else [{"metric": "HEADCOUNT", "lte": asked.most}]
        filter_ = {"period": TODAY, "scope": self.scope}
        by = [name for name in asked.dimensions if name != "STATUS"]
        data = await self.ask(STATS, {"filter": filter_, "by": by, "having": having, "limit": asked.limit})
        found, people, before = data["stats"], self.about("department"), self.about("old_department")
        assert (found["totals"], found["previousTotals"]) == (self.figures(people, today=True), self.figures(before))
        groups = self.groups(people, by, "department")
        kept = sorted(len(group) for group in groups.values() if asked.most is None or len(group) <= asked.most)
        rows = found["rows"]
        assert [row["metrics"]["headcount"] for row in rows] == kept[: asked.limit]
        assert found["truncated"] == (len(kept) > asked.limit)
        earlier = [self.figures(group) for group in self.groups(before, by, "old_department").values()]
        assert all(row["previous"] in (*earlier, None) for row in rows)

    def groups(self, people: list[Person], by: list[str], department: str) -> dict[tuple[Any, ...], list[Person]]:
        columns = [department if name == "DEPARTMENT" else COLUMN_BY_DIMENSION[name] for name in by]
        keys = {tuple(getattr(person, column) for column in columns) for person in people} if by else set()
        groups = {
            key: self.left(one for one in people if tuple(getattr(one, column) for column in columns) == key)
            for key in keys
        }
        return {key: group for key, group in groups.items() if group}

    async def hold_statuses(self) -> None:
        """Groups by what the days came to."""
        people = self.about("old_department")
        filter_ = {"period": YESTERDAY, "scope": self.scope}
        data = await self.ask(STATS, {"filter": filter_, "by": ["STATUS"], "limit": 500})
        found = {row["keys"][0]["value"]: row["metrics"]["headcount"] for row in data["stats"]["rows"]}
        counts = {
            status: len(self.left(person for person in people if person.absent == absent))
            for status, absent in (("ABSENT", True), ("PRESENT", False))
        }
        assert found == {status: heads for status, heads in counts.items() if heads}


def ids(kind: str, numbers: tuple[int, ...] | None) -> list[str] | None:
    return None if numbers is None else [encode_id(kind, number) for number in numbers]


def ident(person: Person) -> str:
    return encode_id("Employee", person.id)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_question_shows_too_few(databases: Databases, drawn_url: str, data: st.DataObject) -> None:
    company = data.draw(companies())
    asking = data.draw(viewers(company))
    async with open_rig(drawn_url, databases.redis_url, NOW) as rig:
        await write(rig, company, asking)
        viewer = await rig.viewer(EMAIL)
        for question in data.draw(st.lists(questions(company), min_size=QUESTIONS_EACH, max_size=QUESTIONS_EACH)):
            asked = Asked(rig, company, asking, viewer, question)
            await asked.hold_attendance()
            await asked.hold_employees()
            await asked.hold_grid()
            await asked.hold_glance()
            await asked.hold_stats()
            await asked.hold_statuses()
