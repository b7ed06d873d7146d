"""A clock moved by hand."""

from datetime import UTC, datetime, timedelta


class Clock:
    """Called, it tells the time that a test set."""

    def __init__(self, now: datetime) -> None:
        self.now = now.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> datetime:
        """Move on by e.g. `minutes=5`; returns the new time."""
        self.now += timedelta(**by)
        return self.now
