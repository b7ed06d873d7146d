"""How long requests waited for something that others held."""

from typing import Final

from telemetry.executions import note_waited
from telemetry.timings import Timings

waits: Final = Timings(most_names=4)


def waited_for_pool(seconds: float) -> None:
    """Somebody waited for a connection to PostgreSQL, since all were lent out."""
    waits.add("db_pool", seconds)
    note_waited(seconds)
