"""Where the demo company works: seven locations in as many time zones, three work weeks, punch clocks."""

from collections.abc import Sequence
from typing import Final

import msgspec

from domain.attendance.calendar import WeeklyOff
from domain.ids import LocationId

SECOND_AND_FOURTH: Final = 0b01010


class WorkWeek(msgspec.Struct, frozen=True):
    """Which weekdays are off."""

    id: int
    code: str
    name: str
    off: Sequence[WeeklyOff]


class Place(msgspec.Struct, frozen=True):
    """A location with its calendar's name; `clocks` are the ids of its punch clocks in use."""

    id: LocationId
    code: str
    name: str
    time_zone: str
    work_week_id: int
    latitude: float
    longitude: float
    geofence_metres: int
    clocks: Sequence[int]


class Clock(msgspec.Struct, frozen=True):
    """A punch clock."""

    id: int
    code: str
    location_id: LocationId
    is_active: bool


WORK_WEEKS: Final = (
    WorkWeek(1, "SAT-SUN", "Saturday and Sunday off", (WeeklyOff(6), WeeklyOff(7))),
    WorkWeek(2, "FRI-SAT", "Friday and Saturday off", (WeeklyOff(5), WeeklyOff(6))),
    WorkWeek(3, "SUN-2SAT", "Sunday, 2nd and 4th Saturday off", (WeeklyOff(7), WeeklyOff(6, SECOND_AND_FOURTH))),
)

CLOCKS_PER_PLACE: Final = 3  # the last one is out of use

_PLACES: Final = (
    ("BER", "Berlin", "Europe/Berlin", 1, 52.5206, 13.4098),
    ("BLR", "Bengaluru", "Asia/Kolkata", 3, 12.9719, 77.5937),
    ("NYC", "New York", "America/New_York", 1, 40.7506, -73.9935),
    ("SIN", "Singapore", "Asia/Singapore", 1, 1.2836, 103.8511),
    ("CAI", "Cairo", "Africa/Cairo", 2, 30.0459, 31.2243),
    ("ADL", "Adelaide", "Australia/Adelaide", 1, -34.9287, 138.5999),
    ("SAO", "São Paulo", "America/Sao_Paulo", 1, -23.5614, -46.6559),
)
PLACES: Final = tuple(
    Place(LocationId(number), *row, 300, range((number - 1) * CLOCKS_PER_PLACE + 1, number * CLOCKS_PER_PLACE))
    for number, row in enumerate(_PLACES, 1)
)
CLOCKS: Final = tuple(
    Clock(
        (place.id - 1) * CLOCKS_PER_PLACE + number,
        f"{place.code}-GATE-{number}",
        place.id,
        number < CLOCKS_PER_PLACE,
    )
    for place in PLACES
    for number in range(1, CLOCKS_PER_PLACE + 1)
)

PLACE_BY_ID: Final = {place.id: place for place in PLACES}
PLACE_CYCLE: Final = tuple(PLACES[i] for i in (0, 1, 2, 3, 4, 5, 6, 1, 0, 2))
"""Teams are spread over the places in this order: the three large ones come twice."""
