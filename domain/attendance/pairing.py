"""From punches to sessions: duplicates dropped on seconds, instants cut to minutes, then paired."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from domain.attendance.plan import DayPlan, PunchFact
from domain.enums import Pairing, PunchDirection

OPENING = (PunchDirection.IN, PunchDirection.BREAK_END)
CLOSING = (PunchDirection.OUT, PunchDirection.BREAK_START)


class Pairs(msgspec.Struct, frozen=True):
    """Closed sessions in order, the start of one left open, and what is missing."""

    sessions: tuple[tuple[datetime, datetime], ...] = ()
    open_since: datetime | None = None
    missing_in: bool = False
    first_in: datetime | None = None
    last_out: datetime | None = None


def clean(punches: Sequence[PunchFact], dedupe_seconds: int) -> tuple[list[PunchFact], list[PunchFact]]:
    """(kept, dropped): kept are cut to the minute; dropped repeat the kept one before them within the limit."""
    kept: list[PunchFact] = []
    dropped = []
    for punch in sorted(punches, key=lambda p: (p.at, p.direction, p.id or 0)):
        if kept and _repeats(kept[-1], punch, dedupe_seconds):
            dropped.append(punch)
        else:
            kept.append(punch)
    return [msgspec.structs.replace(p, at=p.at.replace(second=0, microsecond=0)) for p in kept], dropped


def _repeats(before: PunchFact, punch: PunchFact, dedupe_seconds: int) -> bool:
    same = before.direction is punch.direction or PunchDirection.UNKNOWN in (before.direction, punch.direction)
    apart = punch.at.replace(microsecond=0) - before.at.replace(microsecond=0)
    return same and apart.total_seconds() <= dedupe_seconds


def pair(punches: Sequence[PunchFact], plan: DayPlan, window_over: bool) -> Pairs:
    """Pair cleaned punches as the rule says; one punch alone is an IN unless it is an OUT by word or by the hour."""
    if not punches:
        return Pairs()
    if plan.rule.pairing is Pairing.DIRECTED:
        return _directed(punches)
    times = [punch.at for punch in punches]
    if len(times) == 1:
        if _is_out(punches[0], plan, window_over):
            return Pairs(missing_in=True, last_out=times[0])
        return Pairs(open_since=times[0], first_in=times[0])
    if plan.rule.pairing is Pairing.FIRST_LAST:
        return Pairs(((times[0], times[-1]),), first_in=times[0], last_out=times[-1])
    sessions = tuple(zip(times[::2], times[1::2], strict=False))
    if len(times) % 2:
        return Pairs(sessions, open_since=times[-1], first_in=times[0])
    return Pairs(sessions, first_in=times[0], last_out=times[-1])


def _is_out(punch: PunchFact, plan: DayPlan, window_over: bool) -> bool:
    if punch.direction is not PunchDirection.UNKNOWN:
        return punch.direction is PunchDirection.OUT
    return window_over and abs(plan.ends_at - punch.at) < abs(punch.at - plan.starts_at)


def _directed(punches: Sequence[PunchFact]) -> Pairs:
    """IN and BREAK_END open if none is open, OUT and BREAK_START close; UNKNOWN does whichever is due."""
    sessions = []
    open_since = first_in = last_out = None
    missing_in = False
    for punch in punches:
        if punch.direction in OPENING or (punch.direction is PunchDirection.UNKNOWN and open_since is None):
            if open_since is None:
                open_since = punch.at
                first_in = first_in or punch.at
            continue
        if open_since is None:
            missing_in = True
        else:
            sessions.append((open_since, punch.at))
            open_since = None
        last_out = punch.at
    return Pairs(tuple(sessions), open_since, missing_in, first_in, None if open_since else last_out)
