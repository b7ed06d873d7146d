"""An instant together with the zone whose wall clock people read it by."""

from datetime import datetime

import msgspec

from domain.attendance.work_days import zone


class ZonedTime(msgspec.Struct, frozen=True):
    """`instant` is aware UTC, `zone` an IANA name."""

    instant: datetime
    zone: str

    @property
    def local(self) -> str:
        """The wall clock to the minute, e.g. 2026-03-17T09:03."""
        return self.instant.astimezone(zone(self.zone)).strftime("%Y-%m-%dT%H:%M")


def zoned(instant: datetime | None, zone_name: str) -> ZonedTime | None:
    """The instant in a zone; None without one."""
    return None if instant is None else ZonedTime(instant, zone_name)
