"""How a day of attendance is derived from punches: pure functions for docs/explain/attendance-rules.md."""

from domain.attendance.attribution import Attribution, attribute
from domain.attendance.derivation import DerivedDay, Step, derive, explain
from domain.attendance.plan import DayPlan, PunchFact, Rule, instant, plan_day
from domain.attendance.vectors import VectorReport, run_vectors

__all__ = [
    "Attribution",
    "DayPlan",
    "DerivedDay",
    "PunchFact",
    "Rule",
    "Step",
    "VectorReport",
    "attribute",
    "derive",
    "explain",
    "instant",
    "plan_day",
    "run_vectors",
]
