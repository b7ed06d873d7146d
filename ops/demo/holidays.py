"""The public holidays of the demo company's locations, for any year."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

import msgspec

from domain.enums import HalfOfDay
from domain.ids import LocationId
from ops.demo.places import PLACES

_MONDAY, _THURSDAY = 0, 3
_FIXED: Final = {
    "BER": "1-1 New Year|5-1 Labour Day|10-3 German Unity Day|12-25 Christmas Day|12-26 Second Day of Christmas",
    "BLR": "1-26 Republic Day|5-1 May Day|8-15 Independence Day|10-2 Gandhi Jayanti|11-1 Kannada Rajyotsava",
    "NYC": "1-1 New Year's Day|6-19 Juneteenth|7-4 Independence Day|11-11 Veterans Day|12-25 Christmas Day",
    "SIN": "1-1 New Year's Day|5-1 Labour Day|8-9 National Day|12-25 Christmas Day",
    "CAI": "1-7 Coptic Christmas|1-25 Revolution Day|4-25 Sinai Liberation Day|5-1 Labour Day|7-23 National Day"
    "|10-6 Armed Forces Day",
    "ADL": "1-1 New Year's Day|1-26 Australia Day|4-25 Anzac Day|12-25 Christmas Day|12-26 Proclamation Day",
    "SAO": "1-1 New Year|4-21 Tiradentes|5-1 Labour Day|9-7 Independence Day|10-12 Our Lady of Aparecida"
    "|11-2 All Souls|11-15 Republic Day|11-20 Black Awareness Day|12-25 Christmas Day",
}
_HALF: Final = {"BER": "12-24 Christmas Eve|12-31 New Year's Eve", "NYC": "12-24 Christmas Eve"}
_OPTIONAL: Final = {"BLR": "1-14 Makar Sankranti|12-25 Christmas Day", "SIN": "12-31 New Year's Eve"}


class Holiday(msgspec.Struct, frozen=True):
    """A holiday of a location; `half` None is the whole day."""

    location_id: LocationId
    date: date
    name: str
    half: HalfOfDay | None = None
    optional: bool = False


def holidays_of_year(year: int) -> list[Holiday]:
    """Every holiday of every location, each date of a location once."""
    found: dict[tuple[LocationId, date], Holiday] = {}
    for place in PLACES:
        for day, name in _listed(_FIXED.get(place.code, ""), year):
            found[place.id, day] = Holiday(place.id, day, name)
        for day, name in _moving(place.code, year):
            found.setdefault((place.id, day), Holiday(place.id, day, name))
        for day, name in _listed(_HALF.get(place.code, ""), year):
            found.setdefault((place.id, day), Holiday(place.id, day, name, HalfOfDay.SECOND))
        for day, name in _listed(_OPTIONAL.get(place.code, ""), year):
            found.setdefault((place.id, day), Holiday(place.id, day, name, optional=True))
    return list(found.values())


def _listed(text: str, year: int) -> Iterator[tuple[date, str]]:
    for entry in filter(None, text.split("|")):
        day, _, name = entry.partition(" ")
        month, _, number = day.partition("-")
        yield date(year, int(month), int(number)), name


def _moving(code: str, year: int) -> Iterator[tuple[date, str]]:
    if code in ("BER", "SIN", "ADL", "SAO"):
        yield easter(year) - timedelta(days=2), "Good Friday"
    if code in ("BER", "ADL"):
        yield easter(year) + timedelta(days=1), "Easter Monday"
    if code == "NYC":
        yield _nth(year, 1, _MONDAY, 3), "Martin Luther King Jr. Day"
        yield _nth(year, 9, _MONDAY, 1), "Labor Day"
        yield _nth(year, 11, _THURSDAY, 4), "Thanksgiving"
    if code == "ADL":
        yield _nth(year, 3, _MONDAY, 2), "Adelaide Cup"
        yield _nth(year, 10, _MONDAY, 1), "Labour Day"


def _nth(year: int, month: int, weekday: int, number: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def easter(year: int) -> date:
    """Easter Sunday by the anonymous Gregorian computus."""
    century, of_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
