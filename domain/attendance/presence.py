"""Where somebody is: what the punches of a date leave behind, and how long that is believed."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

import msgspec

from domain.attendance.plan import PunchFact
from domain.enums import PresenceState, PunchDirection

THERE = (PresenceState.IN, PresenceState.ON_BREAK)


class Sighting(msgspec.Struct, frozen=True, array_like=True):
    """Where the punches of a date left somebody; who is in or on a break is believed to be so for `longest`."""

    work_date: date
    presence: PresenceState
    since: datetime
    longest: timedelta


def presence_after(punches: Sequence[PunchFact]) -> tuple[PresenceState | None, datetime | None]:
    """(IN, OUT or ON_BREAK, since when) after cleaned punches; one of unknown direction turns IN and OUT over."""
    state = None
    for punch in punches:
        if punch.direction is PunchDirection.BREAK_START:
            state = PresenceState.ON_BREAK
        elif punch.direction is PunchDirection.UNKNOWN:
            state = PresenceState.OUT if state is PresenceState.IN else PresenceState.IN
        else:
            state = PresenceState.OUT if punch.direction is PunchDirection.OUT else PresenceState.IN
    return state, punches[-1].at if punches else None


def presence_of(sightings: Iterable[Sighting], at: datetime) -> PresenceState | None:
    """What the latest sighting up to `at` says, unless a session would be open for too long by then."""
    latest = max((s for s in sightings if s.since <= at), key=lambda s: (s.since, s.work_date), default=None)
    if latest is None or (latest.presence in THERE and at - latest.since > latest.longest):
        return None
    return latest.presence
