"""What to tell an operator whose PostgreSQL does not answer, or does not let us in: the variable, the address, why."""

from typing import Final

from domain.errors import RollcallError, Unavailable
from web.environment import SettingsError, masked_address
from web.settings import Settings

LETS_NOBODY_IN: Final = ("28", "3D")
"""Classes of SQLSTATE with which PostgreSQL answers, and lets nobody in: wrong user or password, no such database."""


def refusal(error: Unavailable, settings: Settings) -> RollcallError:
    """One line, in the words of PostgreSQL or of the system, for an error of connecting to the primary."""
    cause = getattr(error.__cause__, "orig", None) or error.__cause__
    # after the class, if it is named
    reason = (str(cause or "").splitlines() or [error.message])[0].rpartition("'>: ")[2]
    address = masked_address(settings.database.primary_url or "").replace("+asyncpg", "", 1)
    variable, got = settings.database.variable, f"got {address}: {reason}"
    if str(getattr(cause, "sqlstate", "")).startswith(LETS_NOBODY_IN):
        return SettingsError(f"{variable}: needed a PostgreSQL that lets us in, {got}")
    return Unavailable(f"{variable}: needed a PostgreSQL that answers, {got}; start it or correct it")
