"""The five named queries, with the dates and the employee that they ask for in their variables."""

from datetime import date, timedelta
from typing import Any, Final

import msgspec

from domain.ids import encode_id

ASKED_EMPLOYEE: Final = 777
"""The employee whom the peers' query asked for as well; the last one of a smaller company."""

ONE_EMPLOYEE: Final = """
query OneEmployee($id: ID!) {
  employee(id: $id) {
    id employeeNo fullName email
    department { id code name }
    location { id name timeZone }
    shift { id code name }
    manager { id fullName email }
  }
}"""

EMPLOYEES_50X10: Final = """
query Employees50x10($period: PeriodInput!) {
  employees(first: 50) {
    nodes {
      id employeeNo fullName email
      department { id name }
      location { id name timeZone }
      manager { id fullName }
      attendance(period: $period) {
        id workDate status firstIn { instant } lastOut { instant } workedMinutes
        shift { id name }
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""

EMPLOYEES_200X20: Final = """
query Employees200x20($period: PeriodInput!) {
  employees(first: 200) {
    nodes {
      id fullName
      attendance(period: $period) {
        id workDate status firstIn { instant } lastOut { instant } workedMinutes
      }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""

TODAY: Final = """
query Today {
  today {
    asOf
    inNow
    totals { headcount scheduledDays presentDays absentDays lateCount attendanceRate }
    byDepartment {
      keys { label }
      metrics { headcount presentDays absentDays leaveDays lateCount attendanceRate }
    }
    lateNotIn { employeeNo fullName department { name } }
  }
}"""

STATS_BY_DEPARTMENT_AND_MONTH: Final = """
query StatsByDepartmentAndMonth($period: PeriodInput!) {
  stats(filter: {period: $period}, groupBy: [DEPARTMENT, MONTH]) {
    rows {
      keys { dimension value label }
      metrics { headcount scheduledDays presentDays absentDays leaveDays lateCount workedHours attendanceRate }
    }
    totals { headcount scheduledDays presentDays absentDays leaveDays lateCount workedHours attendanceRate }
    truncated
    provisional
  }
}"""


class NamedQuery(msgspec.Struct, frozen=True):
    """A query as it is sent."""

    name: str
    document: str
    variables: dict[str, Any]

    @property
    def body(self) -> str:
        """The JSON that is posted."""
        return msgspec.json.encode({"query": self.document.strip(), "variables": self.variables}).decode()


def named_queries(employees: int, today: date) -> tuple[NamedQuery, ...]:
    """The queries for a company of `employees` whose last day is `today`."""
    return (
        NamedQuery("one_employee", ONE_EMPLOYEE, {"id": encode_id("Employee", min(ASKED_EMPLOYEE, employees))}),
        NamedQuery("employees_50x10", EMPLOYEES_50X10, {"period": _latest(10, today)}),
        NamedQuery("employees_200x20", EMPLOYEES_200X20, {"period": _latest(20, today)}),
        NamedQuery("today", TODAY, {}),
        NamedQuery("stats_by_department_and_month", STATS_BY_DEPARTMENT_AND_MONTH, {"period": _latest(90, today)}),
    )


def _latest(days: int, today: date) -> dict[str, Any]:
    return {"range": {"from": str(today - timedelta(days=days - 1)), "to": str(today)}}
