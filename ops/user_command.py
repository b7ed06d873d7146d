"""`rollcall user`: users made from the command line, which is how an installation gets its first administrator."""

import re
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

import typer

from domain.enums import Role
from domain.errors import RollcallError
from ops.terminal import AsJson, console, examples, print_json, run
from web.environment import SettingsError
from web.settings import Settings

if TYPE_CHECKING:
    from db.connection import WriteConnection

user = typer.Typer(help="Users: the first administrator, forgotten passwords.", no_args_is_help=True)
SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1_000
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
T = TypeVar("T")
Email = Annotated[str, typer.Argument(help="The address to sign in with.")]


@user.command(
    epilog=examples(
        "rollcall user add ada@example.org --role ADMIN", "rollcall user add ada@example.org < password.txt"
    )
)
def add(
    email: Email,
    role: Annotated[Role, typer.Option(case_sensitive=False, help="A role, for everyone.")] = Role.EMPLOYEE,
    employee_no: Annotated[str, typer.Option(help="The employee that this user is.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a user with a role; the password is asked for, or read from standard input."""

    async def work(connection: "WriteConnection", password_hash: str) -> int:
        from db.new_users import add_user, employee_for_user

        employee_id = None
        if employee_no:
            found = await employee_for_user(connection, employee_no)
            if found is None:
                raise RollcallError(f"--employee-no: needed the number of an employee, got {employee_no!r}")
            employee_id, holder = found
            if holder is not None:
                raise RollcallError(f"--employee-no: employee {employee_no} is the user {holder} already")
        made = await add_user(connection, email, password_hash, employee_id, role)
        if made is None:
            raise RollcallError(f"EMAIL: {email} is a user already; roles are given by the mutation grantRole")
        return made

    _checked(email)
    made = _with_password(work)
    if as_json:
        print_json({"id": made, "email": email, "role": role.value})
    else:
        console().print(f"{email} can sign in now, as {role.value}")


@user.command(epilog=examples("rollcall user password ada@example.org"))
def password(email: Email, as_json: AsJson = False) -> None:
    """Give a user another password, and sign it out everywhere."""

    async def work(connection: "WriteConnection", password_hash: str) -> None:
        from db.new_users import set_password

        if not await set_password(connection, email, password_hash):
            raise RollcallError(f"EMAIL: needed the email of a user, got {email!r}")

    _checked(email)
    _with_password(work)
    if as_json:
        print_json({"email": email})
    else:
        console().print(f"{email} has another password, and is signed out everywhere")


def _checked(email: str) -> None:
    if not EMAIL.fullmatch(email) or len(email) > 254:
        typer.echo(f"EMAIL: needed an address like ada@example.org, got {email[:80]!r}", err=True)
        raise typer.Exit(2)


def _with_password(work: "Callable[[WriteConnection, str], Awaitable[T]]") -> T:
    """Ask for the password and do the work in one unit, so that a running service knows at once."""

    async def whole(settings: Settings) -> T:
        from loaders.unit_of_work import unit_of_work
        from web.passwords import hash_password
        from web.stores import open_cache, open_database

        secret = _password()
        database, cache = open_database(settings), open_cache(settings)
        try:
            async with unit_of_work(database, cache) as unit:
                return await work(unit.connection, hash_password(secret))
        finally:
            await cache.close()
            await database.close()

    return run(whole)


def _password() -> str:
    """Asked twice at a terminal; otherwise the first line of standard input."""
    if sys.stdin.isatty():
        text = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    if not SHORTEST_PASSWORD <= len(text) <= LONGEST_PASSWORD:
        raise SettingsError(
            f"password: needed {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, got {len(text)}"
            + ("" if sys.stdin.isatty() else " on the first line of standard input")
        )
    return str(text)
