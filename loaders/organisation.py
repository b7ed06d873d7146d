"""What stands around employees and days, fetched at once where a level needs several kinds of it."""

from typing import Final

from db.organisation import organisation_rows
from loaders.batch import Joined

ORGANISATION: Final = Joined(organisation_rows)
