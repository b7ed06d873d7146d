"""Users made from the command line, the first administrator among them."""

from typing import Final

from sqlalchemy import text

from db.connection import Query, WriteConnection
from domain.enums import Role
from domain.ids import EmployeeId, UserId

_EMPLOYEE: Final = Query(
    "employee_of_new_user",
    text("""
    SELECT e.id, (SELECT u.email::text FROM app_user u WHERE u.employee_id = e.id) FROM employee e
    WHERE e.employee_no = :employee_no"""),
)
_ADD: Final = Query(
    "user_add",
    text("""
    INSERT INTO app_user (email, password_hash, employee_id)
    VALUES (CAST(:email AS citext), :password_hash, CAST(:employee_id AS bigint))
    ON CONFLICT (email) DO NOTHING RETURNING id"""),
)
_GRANT: Final = Query(
    "user_add_role",
    text("INSERT INTO role_grant (user_id, role) VALUES (CAST(:user_id AS bigint), CAST(:role AS role_name))"),
)
_SET_PASSWORD: Final = Query(
    "user_set_password",
    text("""
    UPDATE app_user SET password_hash = :password_hash, token_epoch = token_epoch + 1
    WHERE email = CAST(:email AS citext)"""),
)


async def employee_for_user(connection: WriteConnection, employee_no: str) -> tuple[EmployeeId, str | None] | None:
    """The employee of a number, and the email of the user that is this employee already."""
    found = await connection.records(_EMPLOYEE, employee_no=employee_no)
    return (EmployeeId(found[0][0]), found[0][1]) if found else None


async def add_user(
    connection: WriteConnection, email: str, password_hash: str, employee_id: EmployeeId | None, role: Role
) -> UserId | None:
    """A user with one role for everyone; None when the email is taken."""
    added = await connection.all(_ADD, int, email=email, password_hash=password_hash, employee_id=employee_id)
    if not added:
        return None
    await connection.execute(_GRANT, user_id=added[0], role=role)
    return UserId(added[0])


async def set_password(connection: WriteConnection, email: str, password_hash: str) -> bool:
    """Give a user another password and make every token worthless; False without such a user."""
    return await connection.execute(_SET_PASSWORD, email=email, password_hash=password_hash) == 1
