"""The operations that a load test sends, how often each, and for whom: keys are drawn by Zipf's law."""

import random
import secrets
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Any, Final, Generic, TypeVar

import msgspec

from domain.errors import RollcallError

K = TypeVar("K")


class BadMix(RollcallError):
    """--mix cannot be read; the message says what is needed."""

    exit_code = 2


class Zipf(Generic[K]):
    """Draws keys: the second is asked for 1/2 ** exponent as often as the first, the third 1/3 ** exponent, ..."""

    def __init__(self, keys: Sequence[K], exponent: float, chance: random.Random) -> None:
        self._keys = list(keys)
        chance.shuffle(self._keys)  # who is popular must not follow the ids
        self._bounds = list(accumulate(1 / rank**exponent for rank in range(1, len(keys) + 1)))
        self._chance = chance

    def draw(self) -> K:
        """One key."""
        return self._keys[bisect(self._bounds, self._chance.random() * self._bounds[-1])]


class Draws:
    """Everything that variables are made of."""

    def __init__(
        self, employees: Sequence[str], departments: Sequence[str], today: date, exponent: float, seed: int
    ) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.today = today
        self._employees = Zipf(employees, exponent, self.chance)
        self._departments = Zipf(departments, exponent, self.chance)
        self._inside: dict[str, bool] = {}

    def employee(self) -> str:
        """An employee."""
        return self._employees.draw()

    def department(self) -> str:
        """A department."""
        return self._departments.draw()

    def days(self, number: int) -> Mapping[str, Any]:
        """A period of so many days up to today."""
        return {"range": {"from": str(self.today - timedelta(days=number - 1)), "to": str(self.today)}}

    def past_date(self) -> str:
        """One of the fourteen days before yesterday, so that today's figures stay what they are."""
        return str(self.today - timedelta(days=self.chance.randint(2, 15)))

    def punch(self) -> tuple[str, str]:
        """Somebody, and whether they go in or out: each goes in first, then out, and so on."""
        employee = self.employee()
        self._inside[employee] = not self._inside.get(employee, False)
        return employee, "checkIn" if self._inside[employee] else "checkOut"


class Operation(msgspec.Struct, frozen=True):
    """A kind of request: how often it comes in the usual mix, and how its document and variables are made."""

    name: str
    weight: float
    make: Callable[[Draws], tuple[str, Mapping[str, Any]]]
    writes: bool = False


ME: Final = "query LoadMe { me { id email } }"
EMPLOYEE: Final = """query LoadEmployee($id: ID!) { employee(id: $id) { id employeeNo fullName email
  department { id code name } location { id name timeZone } shift { id code name } manager { id fullName } } }"""
MONTH: Final = """query LoadMonth($id: ID!, $period: PeriodInput!) { employee(id: $id) { id fullName
  attendance(period: $period) { id workDate status firstIn { instant } lastOut { instant } workedMinutes } } }"""
DEPARTMENT: Final = """query LoadDepartment($id: ID!) { employees(filter: {scope: {departmentIds: [$id]}}, first: 50) {
  nodes { id fullName manager { id fullName } location { id name } } pageInfo { hasNextPage endCursor } } }"""
TODAY: Final = """query LoadToday { today { asOf inNow totals { headcount presentDays absentDays lateCount }
  byDepartment { keys { label } metrics { headcount presentDays absentDays lateCount } } } }"""
STATS: Final = """query LoadStats($period: PeriodInput!) { stats(filter: {period: $period}, groupBy: [DEPARTMENT]) {
  rows { keys { value label } metrics { headcount presentDays absentDays lateCount attendanceRate } } } }"""
PUNCH: Final = """mutation Load%s($input: CheckInput!) { %s(input: $input) { punch { id direction } day { id status }
  userErrors { code message } } }"""
PUNCHES: Final = {"checkIn": PUNCH % ("CheckIn", "checkIn"), "checkOut": PUNCH % ("CheckOut", "checkOut")}
MARK: Final = """mutation LoadMark($input: MarkAttendanceInput!) { markAttendance(input: $input) { days { id status }
  userErrors { code message } } }"""


def _punch(draws: Draws) -> tuple[str, Mapping[str, Any]]:
    employee, field = draws.punch()
    return PUNCHES[field], {"input": {"employeeId": employee, "clientEventId": secrets.token_hex(8)}}


def _mark(draws: Draws) -> tuple[str, Mapping[str, Any]]:
    status = draws.chance.choice(("PRESENT", "ABSENT"))
    item = {"employeeId": draws.employee(), "date": draws.past_date(), "status": status}
    given = {"items": [item], "reason": "rollcall perf load-test", "idempotencyKey": secrets.token_hex(8)}
    return MARK, {"input": given}


OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation("me", 10, lambda _: (ME, {})),
        Operation("employee", 40, lambda draws: (EMPLOYEE, {"id": draws.employee()})),
        Operation("month", 20, lambda draws: (MONTH, {"id": draws.employee(), "period": draws.days(31)})),
        Operation("department", 15, lambda draws: (DEPARTMENT, {"id": draws.department()})),
        Operation("today", 10, lambda _: (TODAY, {})),
        Operation("stats", 5, lambda draws: (STATS, {"period": draws.days(30)})),
        Operation("punch", 8, _punch, writes=True),
        Operation("mark", 2, _mark, writes=True),
    )
}


def mix_of(text: str | None, *, writes: bool) -> dict[str, float]:
    """The weight of each operation: the usual mix, or what `name=weight,...` says."""
    if text is None:
        return {name: operation.weight for name, operation in OPERATIONS.items() if writes or not operation.writes}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, weight = part.strip().partition("=")
        if name not in OPERATIONS:
            raise BadMix(f"--mix: needed name=weight,... with names of {', '.join(OPERATIONS)}; got {part.strip()!r}")
        found[name] = _weight(weight or "1", part)
    if any(OPERATIONS[name].writes for name in found) and not writes:
        changing = ", ".join(name for name in found if OPERATIONS[name].writes)
        raise BadMix(f"--mix: {changing} would change data: add --writes if that is meant")
    return found


def _weight(text: str, part: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight < 1e6:
        raise BadMix(f"--mix: needed a weight above 0, got {part.strip()!r}")
    return weight
