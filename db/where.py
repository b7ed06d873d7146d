"""Conditions that are put together per request: each shape of them is one statement, compiled once."""

from functools import lru_cache
from typing import Any

from sqlalchemy import text

from db.connection import Query
from domain.permission import Reach


class Where:
    """Conditions joined by AND, with their parameters; a condition that does not apply is simply not added."""

    def __init__(self) -> None:
        self.conditions: list[str] = []
        self.parameters: dict[str, Any] = {}

    def add(self, condition: str, **parameters: Any) -> "Where":
        """Add a condition in SQL with named parameters."""
        self.conditions.append(condition)
        self.parameters |= parameters
        return self

    @property
    def sql(self) -> str:
        """The conditions as SQL; TRUE without any."""
        return " AND ".join(self.conditions) or "TRUE"


@lru_cache(maxsize=1024)
def statement(name: str, sql: str) -> Query:
    """The compiled statement of that text."""
    return Query(name, text(sql))


def literal(search: str) -> str:
    """A text as LIKE finds it literally."""
    return search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def within_reach(where: Where, reach: Reach, employee: str = "e") -> None:
    """Add the condition that the row `employee` of the table employee is within `reach`; each alias goes in once."""
    if reach.everyone:
        return
    ways = ["FALSE"]
    if reach.own_id is not None:
        ways.append(f"{employee}.id = CAST(:reach_{employee}_own AS bigint)")
    if reach.reports_of is not None:
        ways.append(f"{employee}.manager_id = CAST(:reach_{employee}_reports_of AS bigint)")
    if reach.department_ids:
        ways.append(f"{employee}.department_id = ANY(CAST(:reach_{employee}_departments AS int[]))")
    if reach.location_ids:
        ways.append(f"{employee}.location_id = ANY(CAST(:reach_{employee}_locations AS int[]))")
    if reach.places:
        names = (f":reach_{employee}_place_departments", f":reach_{employee}_place_locations")
        places = f"unnest({', '.join(f'CAST({name} AS int[])' for name in names)})"
        ways.append(f"({employee}.department_id, {employee}.location_id) IN (SELECT * FROM {places})")
    values = {
        "own": reach.own_id,
        "reports_of": reach.reports_of,
        "departments": reach.department_ids,
        "locations": reach.location_ids,
        "place_departments": [department for department, _ in reach.places],
        "place_locations": [location for _, location in reach.places],
    }
    where.add(f"({' OR '.join(ways)})", **{f"reach_{employee}_{name}": value for name, value in values.items()})
