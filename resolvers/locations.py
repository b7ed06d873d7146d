"""What the fields of locations do."""

import strawberry

from db.rows import HolidayRow, LocationRow
from domain.errors import BadUserInput
from loaders.departments import ALL
from loaders.locations import all_locations, holidays_of_year
from resolvers.arguments import EARLIEST, LATEST
from resolvers.context import Info
from resolvers.described import Year


async def locations(info: Info) -> list[LocationRow]:
    """All locations by name."""
    info.context.require_viewer()
    return list(await info.context.must(all_locations, ALL))


async def holidays(row: strawberry.Parent[LocationRow], info: Info, year: Year) -> list[HolidayRow]:
    """The holidays of a year by date."""
    check_year(year)
    return list(await info.context.must(holidays_of_year, (row.id, year)))


def check_year(year: int, where: str = "year") -> None:
    """Refuse years out of this world."""
    if not EARLIEST.year <= year <= LATEST.year:
        raise BadUserInput(f"{where}: needed a year from {EARLIEST.year} to {LATEST.year}, got {year}")
