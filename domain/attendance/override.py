"""What a person decides about a day against its punches: another status, with halves that fit it."""

import msgspec

from domain.attendance.derivation import DerivedDay
from domain.enums import AttendanceException, DayStatus, WorkMode


class Override(msgspec.Struct, frozen=True):
    """A status that somebody answers for; PENDING and INCOMPLETE cannot be decided."""

    status: DayStatus
    work_mode: WorkMode | None = None
    reason: str = ""


def overridden(day: DerivedDay, override: Override) -> DerivedDay:
    """The day with the decided status: minutes stay as the punches say, halves follow the status and sum to 2.

    Halves off or on leave stay so where the status leaves room: a decision is about the halves that were to be worked,
    or about the whole day when none were.
    """
    resting = day.off_halves + day.leave_halves
    decided = 2 - resting if resting < 2 else 2
    off, leave = (day.off_halves, day.leave_halves) if resting < 2 else (0, 0)
    present = absent = 0
    match override.status:
        case DayStatus.PRESENT:
            present = decided
        case DayStatus.HALF_DAY:
            present, absent = 1, decided - 1
        case DayStatus.ABSENT:
            absent = decided
        case DayStatus.ON_LEAVE:
            leave += decided
        case _:
            off, leave = 2, 0
    return msgspec.structs.replace(
        day,
        status=override.status,
        present_halves=present,
        absent_halves=absent,
        leave_halves=leave,
        off_halves=off,
        exceptions=day.exceptions - {AttendanceException.ABSENT_UNEXPLAINED},
        settles_at=None,
    )
