"""Which day a punch belongs to: windows, clipped by their neighbours, and the OUT that closes yesterday."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import msgspec

from domain.attendance.plan import DayPlan, PunchFact
from domain.enums import PunchDirection


class Attribution(msgspec.Struct, frozen=True):
    """The punches of each work date, in order, and those that belong to no day."""

    punches_by_date: dict[date, list[PunchFact]]
    unattributed: list[PunchFact]


def clipped_windows(plans: Sequence[DayPlan]) -> list[tuple[datetime, datetime]]:
    """[from, to) of each plan: not before the previous end, not past the next opening, never before its own end."""
    windows = []
    for index, plan in enumerate(plans):
        opens, closes = plan.window_from, plan.window_to
        if index > 0:
            opens = max(opens, plans[index - 1].ends_at)
        if index + 1 < len(plans):
            closes = min(closes, max(plans[index + 1].window_from, plan.ends_at))
        windows.append((opens, closes))
    return windows


def attribute(punches: Sequence[PunchFact], plans: Sequence[DayPlan]) -> Attribution:
    """Give each punch to a day of `plans` (ascending by date); the order in which punches are given does not matter."""
    windows = clipped_windows(plans)
    found: list[list[PunchFact]] = [[] for _ in plans]
    unattributed = []
    for punch in sorted(punches, key=lambda p: (p.at, p.direction)):
        day = next((i for i, (opens, closes) in enumerate(windows) if opens <= punch.at < closes), None)
        yesterday = _before(punch, plans) if day is None else day - 1
        if _closes(punch, yesterday, day, plans, found):
            found[yesterday].append(punch)
        elif day is None:
            unattributed.append(punch)
        else:
            found[day].append(punch)
    return Attribution({plan.work_date: of for plan, of in zip(plans, found, strict=True)}, unattributed)


def _before(punch: PunchFact, plans: Sequence[DayPlan]) -> int:
    """Index of the last plan that had started when a punch outside all windows was made; -1 without one."""
    return max((i for i, plan in enumerate(plans) if plan.starts_at <= punch.at), default=-1)


def _closes(
    punch: PunchFact, yesterday: int, day: int | None, plans: Sequence[DayPlan], found: Sequence[Sequence[PunchFact]]
) -> bool:
    """Whether an explicit OUT closes the open session of the previous day."""
    if punch.direction is not PunchDirection.OUT or yesterday < 0 or not found[yesterday]:
        return False
    last = found[yesterday][-1]
    longest = timedelta(minutes=plans[yesterday].rule.max_session_minutes)
    fresh = day is None or not found[day]
    return fresh and last.direction is PunchDirection.IN and punch.at - last.at <= longest
