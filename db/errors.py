"""What errors of the driver mean: a broken constraint with its name, or a database that cannot answer now."""

import asyncpg

from domain.errors import BadUserInput, RollcallError, Unavailable

LOST = (
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
)
WITHOUT_SCHEMA = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)
BUSY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError)


class ConstraintBroken(RollcallError):
    """A write that a constraint refused; whoever writes turns it into a UserProblem by the constraint's name."""

    def __init__(self, constraint: str, message: str) -> None:
        super().__init__(message)
        self.constraint = constraint


class Unreachable(Unavailable):
    """No connection to the database, or one that was lost."""


class Behind(Unavailable):
    """No replica has replayed what is needed."""


def translated(error: BaseException) -> BaseException:
    """The error of our own family for an error of the driver; the same error when it is a bug of ours."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintBroken(error.constraint_name or "", str(error))
    if isinstance(error, asyncpg.DataError):
        problem = "a number is too large, a text holds the character NUL, or a cursor was changed"
        return BadUserInput(f"a value of the request does not fit: {problem}")
    if isinstance(error, asyncpg.QueryCanceledError):
        return Unavailable("the database took too long over a statement: ask for less at once")
    if isinstance(error, LOST):
        return Unreachable("the database cannot be reached now")
    if isinstance(error, BUSY):
        return Unavailable("another change was in the way: try again")
    return error


def lacks_schema(error: BaseException) -> bool:
    """Whether the database is not at the migration that the statements are for."""
    return isinstance(error, WITHOUT_SCHEMA)
