"""What viewers ask, and which watched numbers an answer tells."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final

import msgspec

from domain.ids import encode_id
from tests.coherence.through_http.company import DEPARTMENTS, IN_EACH, Company, department_of
from tests.coherence.through_http.registers import Register, Registers

EMPLOYEE: Final = "query Employee($id: ID!) { employee(id: $id) { id version presence { state } } }"
NODE: Final = "query Node($id: ID!) { node(id: $id) { ... on Employee { id version } } }"
PEOPLE: Final = (
    "query People($scope: OrgScope!) { employees(filter: {scope: $scope}, first: 22) "
    "{ totalCount nodes { id version } } }"
)
STATS: Final = "query Stats($filter: AttendanceFilter!) { stats(filter: $filter) { totals { presentDays } } }"
GROUPED: Final = (
    "query Grouped($filter: AttendanceFilter!) { stats(filter: $filter, groupBy: [DEPARTMENT]) "
    "{ rows { keys { value } metrics { presentDays } } } }"
)
TODAY: Final = "query Today { today { inNow exceptionsOpen } }"
GRID: Final = (
    "query Grid($year: Int!, $month: Int!, $scope: OrgScope!) "
    "{ monthGrid(year: $year, month: $month, scope: $scope, first: 20) { rows { codes } } }"
)
DAY: Final = "query Day($id: ID!, $date: Date!) { attendanceDay(employeeId: $id, date: $date) { punches { id } } }"
COUNTED: Final = "query Counted($filter: AttendanceFilter!) { attendance(filter: $filter, first: 1) { totalCount } }"

"""The people of a department come first by name, before all who are hired."""
PUNCHED_DATES: Final = 3
"""The oldest dates are for single punches; on the others people come whole days."""
EXCEPTION_DAYS: Final = 30
ABOUT_WRITTEN: Final = 0.3
"""Of questions about one employee: the time in which a missing safeguard shows is short."""
Pairs = Iterable[tuple[Register, int]]


class Question(msgspec.Struct, frozen=True):
    """An operation with its variables, what it tells about, and how to read that from an answer."""

    document: str
    variables: dict[str, Any]
    watched: list[Register]
    told: Callable[[Mapping[str, Any]], Pairs]


class Numbers:
    """The watched numbers of a company."""

    def __init__(self, registers: Registers, company: Company) -> None:
        self.registers, self.company, self.past = registers, company, company.past
        self.version = {id_: registers.add(f"version of E{id_:03}", 1) for id_ in range(1, DEPARTMENTS * IN_EACH + 1)}
        self.is_in = {id_: registers.add(f"presence of E{id_:03}", 0) for id_ in self.version}
        self.heads = {number: registers.add(f"people of D{number}", IN_EACH) for number in range(1, DEPARTMENTS + 1)}
        self.present = {number: registers.add(f"present days of D{number}", 0) for number in self.heads}
        self.present_all = registers.add("present days", 0)
        self.in_now = registers.add("in now", 0)
        self.explained = registers.add("explained exceptions", 0)
        self.grid: dict[tuple[int, int, int], Register] = {}
        for day in self.past[PUNCHED_DATES:]:
            for number in self.heads:
                key = (number, day.year, day.month)
                if key not in self.grid:
                    self.grid[key] = registers.add(f"P of D{number} in {day:%Y-%m}", 0)
        self.punches = {
            (id_, day): registers.add(f"punches of E{id_:03} on {day}", 0)
            for id_ in self.version
            for day in self.past[:PUNCHED_DATES]
        }
        self.open_at_first = 0
        self.written: deque[int] = deque(maxlen=3)
        """Employees about whom something is being written, or was a moment ago."""
        self.id_by_global = {encode_id("Employee", id_): id_ for id_ in self.version}

    def of_present(self, employee: int, day: date) -> list[Register]:
        """What rises when an employee comes for a whole day."""
        department = department_of(employee)
        found = [self.present_all, self.present[department], self.grid[department, day.year, day.month]]
        if day >= self.company.today - timedelta(days=EXCEPTION_DAYS):
            found.append(self.explained)
        return found

    def of_coming(self, employee: int) -> list[Register]:
        """What rises when an employee checks in; of those who were hired meanwhile only the head counts."""
        return [self.in_now, *([self.is_in[employee]] if employee in self.is_in else [])]

    def filter(self, department: int | None, year: int = 0, month: int = 0) -> dict[str, Any]:
        """The dates on which people come for whole days, all or of a month, of one department or of all."""
        days = [day for day in self.past[PUNCHED_DATES:] if not year or (day.year, day.month) == (year, month)]
        found: dict[str, Any] = {"period": {"range": {"from": f"{days[0]}", "to": f"{days[-1]}"}}}
        return found if department is None else found | {"scope": scope(department)}


def scope(department: int) -> dict[str, Any]:
    """One department."""
    return {"departmentIds": [encode_id("Department", department)]}


def _present(register: Register, data: Mapping[str, Any]) -> Pairs:
    return [(register, int(data["stats"]["totals"]["presentDays"]))]


def hot(choice: Random, power: float = 3) -> int:
    """An employee; few are drawn often, the fewer the higher `power` is."""
    return 1 + int(DEPARTMENTS * IN_EACH * choice.random() ** power)


class Questions:
    """Draws questions: hot keys are asked for more often."""

    def __init__(self, numbers: Numbers, choice: Random) -> None:
        self._numbers, self._random = numbers, choice
        self._by_viewer: dict[str, list[tuple[int, Callable[[], Question]]]] = {
            "hr": [
                (36, self.employee),
                (22, self.node),
                (22, self.day),
                (6, self.people),
                (4, self.month),
                (1, self.stats),
                (3, self.today),
                (1, self.grouped),
                (2, self.grid),
                (2, self.counted),
            ],
            "manager": [
                (16, lambda: self.employee(self._of(1))),
                (1, lambda: self.people(1)),
                (1, lambda: self.month(1)),
                (1, lambda: self.grid(1)),
                (1, lambda: self.counted(1)),
            ],
            "employee": [(2, lambda: self.employee(5)), (2, lambda: self.node(5)), (1, lambda: self.day(5))],
            "analyst": [(4, self.month), (2, self.stats), (1, self.grouped)],
        }

    def draw(self, viewer: str) -> Question:
        """Something that the viewer may ask."""
        kinds = self._by_viewer[viewer]
        return self._random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()

    def every(self) -> list[Question]:
        """Everything that HR may ask, once."""
        numbers = self._numbers
        found = [self.employee(id_) for id_ in numbers.version] + [self.today(), self.stats(0), self.grouped()]
        for department in numbers.heads:
            found += [self.people(department), self.stats(department)]
        found += [self.day(id_, day) for id_, day in numbers.punches]
        return found + [ask(*key) for key in numbers.grid for ask in (self.grid, self.month, self.counted)]

    def _drawn(self, department: int, year: int, month: int) -> tuple[int, int, int]:
        if not year:
            day = self._random.choice(self._numbers.past[PUNCHED_DATES:])
            year, month = day.year, day.month
        return department or self._random.randint(1, DEPARTMENTS), year, month

    def _whom(self) -> int:
        written = self._numbers.written
        return self._random.choice(written) if written and self._random.random() < ABOUT_WRITTEN else hot(self._random)

    def _of(self, department: int) -> int:
        return self._random.choice(self._numbers.company.employees(department))

    def employee(self, id_: int = 0) -> Question:
        numbers, id_ = self._numbers, id_ or self._whom()
        version, is_in = numbers.version[id_], numbers.is_in[id_]

        def told(data: Mapping[str, Any]) -> Pairs:
            return [(version, data["employee"]["version"]), (is_in, int(data["employee"]["presence"]["state"] == "IN"))]

        return Question(EMPLOYEE, {"id": encode_id("Employee", id_)}, [version, is_in], told)

    def node(self, id_: int = 0) -> Question:
        id_ = id_ or self._whom()
        version = self._numbers.version[id_]
        return Question(
            NODE, {"id": encode_id("Employee", id_)}, [version], lambda data: [(version, data["node"]["version"])]
        )

    def people(self, department: int = 0) -> Question:
        numbers, department = self._numbers, department or self._random.randint(1, DEPARTMENTS)
        heads = numbers.heads[department]
        watched = [heads, *(numbers.version[id_] for id_ in numbers.company.employees(department))]

        def told(data: Mapping[str, Any]) -> Pairs:
            yield heads, data["employees"]["totalCount"]
            for node in data["employees"]["nodes"]:
                if node["id"] in numbers.id_by_global:
                    yield numbers.version[numbers.id_by_global[node["id"]]], node["version"]

        return Question(PEOPLE, {"scope": scope(department)}, watched, told)

    def stats(self, department: int | None = None) -> Question:
        numbers = self._numbers
        department = self._random.randint(0, DEPARTMENTS) if department is None else department
        register = numbers.present[department] if department else numbers.present_all
        return Question(
            STATS,
            {"filter": numbers.filter(department or None)},
            [register],
            lambda data: _present(register, data),
        )

    def grouped(self) -> Question:
        numbers = self._numbers

        def told(data: Mapping[str, Any]) -> Pairs:
            for row in data["stats"]["rows"]:
                for number, register in numbers.present.items():
                    if row["keys"][0]["value"] == encode_id("Department", number):
                        yield register, int(row["metrics"]["presentDays"])

        return Question(GROUPED, {"filter": numbers.filter(None)}, list(numbers.present.values()), told)

    def month(self, department: int = 0, year: int = 0, month: int = 0) -> Question:
        drawn = self._drawn(department, year, month)
        register = self._numbers.grid[drawn]
        return Question(
            STATS, {"filter": self._numbers.filter(*drawn)}, [register], lambda data: _present(register, data)
        )

    def counted(self, department: int = 0, year: int = 0, month: int = 0) -> Question:
        drawn = self._drawn(department, year, month)
        register, filter_ = self._numbers.grid[drawn], self._numbers.filter(*drawn) | {"statuses": ["PRESENT"]}
        return Question(
            COUNTED, {"filter": filter_}, [register], lambda data: [(register, data["attendance"]["totalCount"])]
        )

    def today(self) -> Question:
        numbers = self._numbers

        def told(data: Mapping[str, Any]) -> Pairs:
            yield numbers.in_now, data["today"]["inNow"]
            if datetime.now(UTC).date() == numbers.company.began_on:
                yield numbers.explained, numbers.open_at_first - data["today"]["exceptionsOpen"]

        return Question(TODAY, {}, [numbers.in_now, numbers.explained], told)

    def grid(self, department: int = 0, year: int = 0, month: int = 0) -> Question:
        numbers = self._numbers
        department, year, month = self._drawn(department, year, month)
        register = numbers.grid[department, year, month]
        left_out = {day.day for day in numbers.past[:PUNCHED_DATES] if (day.year, day.month) == (year, month)}

        def told(data: Mapping[str, Any]) -> Pairs:
            rows = data["monthGrid"]["rows"]
            codes = (code for row in rows for day, code in enumerate(row["codes"], 1) if day not in left_out)
            return [(register, sum(code == "P" for code in codes))]

        variables = {"year": year, "month": month, "scope": scope(department)}
        return Question(GRID, variables, [register], told)

    def day(self, id_: int = 0, day: date | None = None) -> Question:
        numbers, id_ = self._numbers, id_ or self._whom()
        day = day or self._random.choice(numbers.past[:PUNCHED_DATES])
        register = numbers.punches[id_, day]
        return Question(
            DAY,
            {"id": encode_id("Employee", id_), "date": f"{day}"},
            [register],
            lambda data: [(register, len(data["attendanceDay"]["punches"]))],
        )
