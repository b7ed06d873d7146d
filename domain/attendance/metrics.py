"""Metrics of a set of days, from sums that a roll-up can hold."""

import msgspec


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`; a rate over nothing is None, not 0."""
    return part / whole if whole else None


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over days: halves, and whole minutes."""

    present_halves: int = 0
    punctual_halves: int = 0
    leave_halves: int = 0
    absent_halves: int = 0
    worked_minutes: int = 0
    expected_minutes: int = 0

    @property
    def scheduled_days(self) -> float:
        """Days on which work, leave or absence was on the plan."""
        return (self.present_halves + self.leave_halves + self.absent_halves) / 2

    @property
    def attendance_rate(self) -> float | None:
        """Present / scheduled."""
        return ratio(self.present_halves / 2, self.scheduled_days)

    @property
    def absenteeism_rate(self) -> float | None:
        """Absent / scheduled."""
        return ratio(self.absent_halves / 2, self.scheduled_days)

    @property
    def punctuality_rate(self) -> float | None:
        """Present days that were not late / present days."""
        return ratio(self.punctual_halves, self.present_halves)

    @property
    def utilisation_rate(self) -> float | None:
        """Worked / expected."""
        return ratio(self.worked_minutes, self.expected_minutes)

    @property
    def worked_hours(self) -> float:
        """Hours as a float: 100,000 people overflow a 32-bit count of minutes after 45 days."""
        return self.worked_minutes / 60
