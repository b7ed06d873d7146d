"""Worked examples in a file: each is derived and compared field by field with what it expects."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from domain.attendance.derivation import DerivedDay, derive
from domain.attendance.plan import PunchFact, Rule, instant, plan_day
from domain.enums import DayStatus, DayType, HalfOfDay, PunchDirection

RULE_NAMES = {
    "start": "start_time",
    "end": "end_time",
    "flexible": "is_flexible",
    "expected_min": "expected_minutes",
    "before": "window_before_minutes",
    "after": "window_after_minutes",
    "grace_in": "grace_in_minutes",
    "grace_out": "grace_out_minutes",
    "half_below": "half_day_below_minutes",
    "absent_below": "absent_below_minutes",
    "break_min": "break_minutes",
    "break_after": "break_after_minutes",
    "dedupe_s": "dedupe_seconds",
    "count_early": "count_early_arrival",
    "ot_min": "overtime_min_minutes",
    "ot_step": "overtime_step_minutes",
    "ot_max": "overtime_max_minutes",
    "missing": "missing_out",
    "max_session": "max_session_minutes",
}


class VectorReport(msgspec.Struct, frozen=True):
    """How many vectors agreed, and for each that did not, its id, title and differing fields."""

    passed: int
    failures: list[str]

    def __str__(self) -> str:
        return "\n".join([*self.failures, f"{self.passed} passed, {len(self.failures)} failed"])


def run_vectors(path: Path) -> VectorReport:
    """Run a vector file; a vector that cannot be read is a failure that says why."""
    passed, failures = 0, []
    for vector in msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]]):
        try:
            differing = _differences(vector)
        except (ValueError, TypeError, KeyError) as error:
            differing = [f"cannot be read: {error}"]
        if differing:
            failures.append(f"{vector.get('id')} {vector.get('title')}: " + "; ".join(differing))
        else:
            passed += 1
    return VectorReport(passed, failures)


def _differences(vector: Mapping[str, Any]) -> list[str]:
    got = _shown(_day(vector))
    return [
        f"{name}: expected {want!r}, got {got[name]!r}" for name, want in vector["expect"].items() if got[name] != want
    ]


def _day(vector: Mapping[str, Any]) -> DerivedDay:
    zone, context = ZoneInfo(vector["zone"]), dict(vector.get("context") or {})
    rule = msgspec.convert({RULE_NAMES.get(k, k): v for k, v in vector.get("rule", {}).items()}, Rule)
    day_type = DayType(context.pop("day_type", "WORKING"))
    leave = frozenset(HalfOfDay(half) for half in context.pop("leave", ()))
    off = context.pop("off", None)
    if context:
        raise ValueError(f"context has unknown {sorted(context)}; known are day_type, leave, off")
    off_halves = None if off is None else frozenset(HalfOfDay(half) for half in off)
    plan = plan_day(date.fromisoformat(vector["work_date"]), zone, rule, day_type, off_halves)
    now = _instant(vector["now"], zone) if vector.get("now") else None
    return derive(plan, [_punch(text, zone) for text in vector["punches"]], leave, now)


def _punch(text: str, zone: ZoneInfo) -> PunchFact:
    at, _, direction = text.partition(" ")
    return PunchFact(_instant(at, zone), PunchDirection(direction or "UNKNOWN"))


def _instant(text: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(text)
    return instant(at, zone) if at.tzinfo is None else at.astimezone(UTC)


def _shown(day: DerivedDay) -> dict[str, object]:
    """A day in the words of the vector file."""
    pending = day.status is DayStatus.PENDING
    halves = f"P{day.present_halves} L{day.leave_halves} A{day.absent_halves} O{day.off_halves}"
    return {
        "status": day.status.value,
        "expected": day.expected_minutes,
        "worked": day.worked_minutes,
        "brk": day.break_minutes,
        "late": day.late_minutes,
        "early": day.early_exit_minutes,
        "ot": day.overtime_minutes,
        "ot_kind": day.overtime_kind.value if day.overtime_kind else None,
        "halves": "-" if pending else halves,
        "exceptions": sorted(problem.value for problem in day.exceptions),
        "first_in": _utc(day.first_in),
        "last_out": _utc(day.last_out),
    }


def _utc(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%MZ") if at else None
