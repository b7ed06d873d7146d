"""What to tell an operator whose Redis does not answer, or does not let us in: the variable, the address, why."""

from datetime import timedelta

from redis.exceptions import AuthenticationError, NoPermissionError

from domain.errors import RollcallError
from ops.terminal import NotReachable
from web.environment import SettingsError, masked_address
from web.settings import Settings


def refusal(error: BaseException, settings: Settings) -> RollcallError:
    """One line, in the words of Redis or of the system, for an error of asking it."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    limit_ms = settings.redis.timeout / timedelta(milliseconds=1)
    reason = (str(cause).splitlines() or [f"no answer within {limit_ms:g} ms"])[0].rstrip(".")
    got = f"got {masked_address(settings.redis.shared_url or '')}: {reason}"
    variable = settings.redis.variable
    if isinstance(cause, AuthenticationError):
        return SettingsError(f"{variable}: needed a Redis that lets us in, {got}")
    if isinstance(cause, NoPermissionError):
        return SettingsError(f"{variable}: needed a user with the rights in docs/operate/commands.md, {got}")
    return NotReachable(f"{variable}: needed a Redis that answers, {got}; start it or correct it")
