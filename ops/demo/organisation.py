"""The department tree of the demo company: the whole, its divisions, their teams; and who leads each."""

from collections.abc import Sequence
from enum import StrEnum
from math import isqrt
from typing import Final

import msgspec

from domain.ids import DepartmentId, EmployeeId
from ops.demo.places import PLACE_CYCLE, Place

PEOPLE_PER_TEAM: Final = 12
FEWEST_DIVISIONS: Final = 4
"""Small companies too have offices, a plant, a call centre and stores, with all patterns of shifts."""


class Pattern(StrEnum):
    """How somebody's shifts come about."""

    DAY = "DAY"
    FLEXIBLE = "FLEXIBLE"
    PART_TIME = "PART_TIME"
    NIGHT = "NIGHT"
    ROTATING = "ROTATING"
    SPLIT_WEEK = "SPLIT_WEEK"
    ROSTERED = "ROSTERED"


class Kind(msgspec.Struct, frozen=True):
    """What a division does: its teams, its jobs, and how likely each pattern of shifts is."""

    code: str
    name: str
    teams: Sequence[str]
    jobs: Sequence[str]
    patterns: Sequence[tuple[Pattern, float]]


class Unit(msgspec.Struct, frozen=True):
    """A department; `kind` is None only for the whole company."""

    id: DepartmentId
    code: str
    name: str
    parent_id: DepartmentId | None
    manager_id: EmployeeId | None
    kind: Kind | None
    place: Place


_OFFICE: Final = ((Pattern.DAY, 0.62), (Pattern.FLEXIBLE, 0.3), (Pattern.PART_TIME, 0.08))
_SOFTWARE: Final = ((Pattern.FLEXIBLE, 0.55), (Pattern.DAY, 0.45))
_PLANT: Final = ((Pattern.ROTATING, 0.7), (Pattern.DAY, 0.15), (Pattern.NIGHT, 0.15))
_CARE: Final = ((Pattern.SPLIT_WEEK, 0.55), (Pattern.DAY, 0.25), (Pattern.NIGHT, 0.2))
_STORES: Final = ((Pattern.ROSTERED, 0.7), (Pattern.PART_TIME, 0.3))

KINDS: Final = tuple(
    Kind(code, name, teams.split(), jobs.split(", "), patterns)
    for code, name, teams, jobs, patterns in (
        ("ENG", "Engineering", "Platform Payments Search Mobile Data", "Engineer, Senior Engineer, Tester", _SOFTWARE),
        ("MFG", "Manufacturing", "Assembly Casting Paint Packing Tooling", "Operator, Technician, Line Lead", _PLANT),
        ("CARE", "Customer Care", "Phone Chat Returns Escalations", "Agent, Senior Agent, Trainer", _CARE),
        ("STO", "Stores", "Centre North South Airport Harbour", "Sales Associate, Stock Associate, Cashier", _STORES),
        ("FIN", "Finance", "Accounting Payroll Treasury Tax", "Accountant, Analyst, Controller", _OFFICE),
        ("LOG", "Logistics", "Inbound Outbound Fleet Customs", "Picker, Dispatcher, Driver", _PLANT),
        ("SAL", "Sales", "Direct Partners Renewals Tenders", "Account Executive, Representative, Analyst", _OFFICE),
        ("HR", "People", "Hiring Learning Operations", "Recruiter, Partner, Coordinator", _OFFICE),
        ("RND", "Research", "Materials Robotics Optics", "Researcher, Laboratory Technician, Engineer", _SOFTWARE),
        ("SEC", "Facilities", "Guards Cleaning Repairs", "Guard, Caretaker, Technician", _CARE),
    )
)  # fmt: skip


class Organisation:
    """Departments 1 (the whole), then the divisions, then the teams; employee 1, 2, ... lead them in this order."""

    def __init__(self, employees: int) -> None:
        self.employees = employees
        self.teams_count = max(1, employees // PEOPLE_PER_TEAM)
        self.divisions_count = min(self.teams_count, max(FEWEST_DIVISIONS, isqrt(self.teams_count)))
        self.units: Sequence[Unit] = [
            self._unit(number) for number in range(1, 2 + self.divisions_count + self.teams_count)
        ]

    def led_by(self, employee: EmployeeId) -> Unit | None:
        """The department that somebody leads."""
        return self.units[employee - 1] if employee <= len(self.units) else None

    def team(self, index: int) -> Unit:
        """A team, counted from 0."""
        return self.units[1 + self.divisions_count + index]

    def parent(self, unit: Unit) -> Unit:
        """The department above; the whole stands above itself."""
        return self.units[(unit.parent_id or 1) - 1]

    def _unit(self, number: int) -> Unit:
        department = DepartmentId(number)
        leader = EmployeeId(number) if number <= self.employees else None
        if number == 1:
            return Unit(department, "ALL", "Everyone", None, leader, None, PLACE_CYCLE[0])
        index = number - 2
        if index < self.divisions_count:
            round_, kind = index // len(KINDS), KINDS[index % len(KINDS)]
            code, name = (f"{kind.code}{round_ + 1}", f"{kind.name} {round_ + 1}") if round_ else (kind.code, kind.name)
            return Unit(department, code, name, DepartmentId(1), leader, kind, PLACE_CYCLE[index % len(PLACE_CYCLE)])
        round_, division = divmod(index - self.divisions_count, self.divisions_count)
        kind = KINDS[division % len(KINDS)]
        place = PLACE_CYCLE[(division + round_) % len(PLACE_CYCLE)]
        name = f"{kind.teams[round_ % len(kind.teams)]} {place.name}"
        if repeated := round_ // (len(kind.teams) * len(PLACE_CYCLE)) + division // len(KINDS):
            name = f"{name} {repeated + 1}"
        parent = DepartmentId(2 + division)
        return Unit(department, f"{kind.code}-{index - self.divisions_count + 1}", name, parent, leader, kind, place)
