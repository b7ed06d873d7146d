"""Metrics of a set of days, from sums that a roll-up can hold; rates as in docs/explain/attendance-rules.md."""

from datetime import time

import msgspec

MINUTES_PER_DAY = 1440


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`; a rate over nothing is None, not 0."""
    return part / whole if whole else None


class Sums(msgspec.Struct, frozen=True, array_like=True):
    """Sums over days: counts, halves and whole minutes; `first_in_minutes` are counted from midnight of the date."""

    days: int = 0
    pending_count: int = 0
    present_halves: int = 0
    punctual_halves: int = 0
    leave_halves: int = 0
    absent_halves: int = 0
    off_halves: int = 0
    late_count: int = 0
    early_exit_count: int = 0
    incomplete_count: int = 0
    remote_count: int = 0
    expected_minutes: int = 0
    worked_minutes: int = 0
    late_minutes: int = 0
    overtime_minutes: int = 0
    overtime_approved_minutes: int = 0
    first_in_count: int = 0
    first_in_minutes: int = 0

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(mine + theirs for mine, theirs in zip(_values(self), _values(other), strict=True)))

    @property
    def scheduled_days(self) -> float:
        """Days on which work, leave or absence was on the plan."""
        return (self.present_halves + self.leave_halves + self.absent_halves) / 2

    @property
    def present_days(self) -> float:
        """Days present."""
        return self.present_halves / 2

    @property
    def absent_days(self) -> float:
        """Days absent."""
        return self.absent_halves / 2

    @property
    def leave_days(self) -> float:
        """Days on leave."""
        return self.leave_halves / 2

    @property
    def off_days(self) -> float:
        """Days off by work week or holiday."""
        return self.off_halves / 2

    @property
    def worked_hours(self) -> float:
        """Hours as a float: 100,000 people overflow a 32-bit count of minutes after 45 days."""
        return self.worked_minutes / 60

    @property
    def expected_hours(self) -> float:
        """Hours that the plans expected."""
        return self.expected_minutes / 60

    @property
    def late_hours(self) -> float:
        """Hours late."""
        return self.late_minutes / 60

    @property
    def overtime_hours(self) -> float:
        """Hours of overtime."""
        return self.overtime_minutes / 60

    @property
    def overtime_approved_hours(self) -> float:
        """Hours of overtime that somebody approved."""
        return self.overtime_approved_minutes / 60

    @property
    def attendance_rate(self) -> float | None:
        """Present / scheduled."""
        return ratio(self.present_days, self.scheduled_days)

    @property
    def absenteeism_rate(self) -> float | None:
        """Absent / scheduled."""
        return ratio(self.absent_days, self.scheduled_days)

    @property
    def punctuality_rate(self) -> float | None:
        """Present days that were not late / present days."""
        return ratio(self.punctual_halves, self.present_halves)

    @property
    def utilisation_rate(self) -> float | None:
        """Worked / expected."""
        return ratio(self.worked_minutes, self.expected_minutes)

    @property
    def average_first_in(self) -> time | None:
        """The mean wall-clock time of the first IN, to the minute."""
        if not self.first_in_count:
            return None
        minutes = round(self.first_in_minutes / self.first_in_count) % MINUTES_PER_DAY
        return time(minutes // 60, minutes % 60)


SUM_NAMES = Sums.__struct_fields__


def _values(sums: Sums) -> tuple[int, ...]:
    return msgspec.structs.astuple(sums)
