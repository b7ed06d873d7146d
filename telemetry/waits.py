"""How long requests waited for something that others held."""

from typing import Final

from telemetry.timings import Timings

waits: Final = Timings(most_names=4)
"""`db_pool`: for a connection to PostgreSQL, when all were lent out."""
