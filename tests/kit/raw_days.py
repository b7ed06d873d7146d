"""Figures of days added up in plain Python from raw rows: what statistics are held against."""

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.kit.rig import Rig

RawDay = Mapping[str, Any]
FIGURES = """
  headcount scheduledDays presentDays absentDays leaveDays offDays lateCount earlyExitCount incompleteCount pendingCount
  remoteCount workedHours expectedHours lateHours overtimeHours overtimeApprovedHours attendanceRate absenteeismRate
  punctualityRate utilisationRate averageFirstIn suppressed
"""


async def raw_days(rig: Rig, first: date, last: date) -> list[RawDay]:
    """The days of a range as the table has them, with the employment type of their employee."""
    rows = await rig.records(
        "SELECT to_jsonb(d) || jsonb_build_object('employment_type', e.employment_type, 'name', e.full_name,"
        " 'no', e.employee_no) FROM attendance_day d"
        " JOIN employee e ON e.id = d.employee_id WHERE work_date BETWEEN CAST(:first AS date) AND CAST(:last AS date)"
        " ORDER BY d.work_date, d.employee_id",
        first=first,
        last=last,
    )
    return [_day(row[0]) for row in rows]


def _day(text: Any) -> RawDay:
    found = json.loads(text) if isinstance(text, str) else dict(text)
    found["work_date"] = date.fromisoformat(found["work_date"])
    for name in ("first_in", "last_out", "starts_at"):
        found[name] = found[name] and datetime.fromisoformat(found[name])
    return found


def figures(days: Iterable[RawDay]) -> dict[str, Any]:
    """StatMetrics of days."""
    days = list(days)

    def total(name: str) -> int:
        return sum(day[name] for day in days)

    def number(holds: Iterable[bool]) -> int:
        return sum(1 for one in holds if one)

    present, leave, absent = total("present_halves"), total("leave_halves"), total("absent_halves")
    punctual = sum(day["present_halves"] for day in days if day["late_minutes"] == 0)
    scheduled = present + leave + absent
    return {
        "headcount": len({day["employee_id"] for day in days}),
        "scheduledDays": scheduled / 2,
        "presentDays": present / 2,
        "absentDays": absent / 2,
        "leaveDays": leave / 2,
        "offDays": total("off_halves") / 2,
        "lateCount": number(day["late_minutes"] > 0 for day in days),
        "earlyExitCount": number(day["early_exit_minutes"] > 0 for day in days),
        "incompleteCount": number(day["status"] == "INCOMPLETE" for day in days),
        "pendingCount": number(day["status"] == "PENDING" for day in days),
        "remoteCount": number(day["work_mode"] == "REMOTE" for day in days),
        "workedHours": total("worked_minutes") / 60,
        "expectedHours": total("expected_minutes") / 60,
        "lateHours": total("late_minutes") / 60,
        "overtimeHours": total("overtime_minutes") / 60,
        "overtimeApprovedHours": total("overtime_approved_minutes") / 60,
        "attendanceRate": present / scheduled if scheduled else None,
        "absenteeismRate": absent / scheduled if scheduled else None,
        "punctualityRate": punctual / present if present else None,
        "utilisationRate": total("worked_minutes") / total("expected_minutes") if total("expected_minutes") else None,
        "averageFirstIn": _mean_first_in(days),
        "suppressed": False,
    }


def _mean_first_in(days: Iterable[RawDay]) -> str | None:
    minutes = [minute_of_first_in(day) for day in days if day["first_in"]]
    if not minutes:
        return None
    mean = round(sum(minutes) / len(minutes)) % 1440
    return f"{mean // 60:02}:{mean % 60:02}"


def minute_of_first_in(day: RawDay) -> int:
    """Minutes from midnight of the date to the first IN by the wall clock."""
    local = day["first_in"].astimezone(ZoneInfo(day["time_zone"]))
    return int((local.date() - day["work_date"]).days * 1440 + local.hour * 60 + local.minute)
