"""The clock of this machine; whoever needs another present time is handed one."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present time, aware and in UTC."""
    return datetime.now(UTC)
