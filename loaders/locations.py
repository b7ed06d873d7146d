"""Lookups of locations and holidays."""

from cache.policy import Policy
from db import locations, tags
from db.rows import HolidayRow, LocationRow
from loaders.batch import Batch
from loaders.organisation import ORGANISATION

location_by_id = Batch(
    locations.locations_by_id,
    Policy("location", LocationRow, "organisation", lambda _: (tags.LOCATION_ANY(),)),
    joined=ORGANISATION,
)
all_locations = Batch(
    locations.all_locations,
    Policy("locations", tuple[LocationRow, ...], "organisation", lambda _: (tags.LOCATION_ANY(),)),
    absent=(),
)
holidays_of_year = Batch(
    locations.holidays_of_year,
    Policy("holidays", tuple[HolidayRow, ...], "organisation", lambda key: (tags.HOLIDAY_YEAR(*key),)),
    absent=(),
)
