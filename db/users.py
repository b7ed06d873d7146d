"""Users, what they are allowed, and how sign-in finds them."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec
from sqlalchemy import select, text

from db import tables
from db.connection import Query, ReadConnection, WriteConnection
from db.parameters import among
from db.rows import RoleGrantRow, Row, UserRow, columns_of
from db.where import Where, literal, statement
from domain.enums import Role
from domain.ids import UserId
from domain.permission import ViewerFacts

_T = tables.app_user
_BY_ID = Query("user_by_id", select(*columns_of(_T, UserRow)).where(among(_T.c.id, "ids")))
_GRANTS = Query(
    "grants_by_user",
    text("""
    SELECT user_id, role, department_id, location_id, expires_at FROM role_grant
    WHERE user_id = ANY(CAST(:ids AS bigint[])) ORDER BY user_id, role, department_id, location_id"""),
)
_VIEWERS = Query(
    "viewer_by_user",
    text("""
    SELECT u.id, u.email::text, u.employee_id, u.is_active, u.token_epoch,
      (SELECT coalesce(json_agg(json_build_array(g.role, g.department_id, g.location_id, g.expires_at) ORDER BY g.id),
                       '[]') FROM role_grant g WHERE g.user_id = u.id),
      (SELECT coalesce(json_agg(d.id ORDER BY d.id), '[]') FROM department d WHERE d.manager_id = u.employee_id),
      (WITH RECURSIVE below AS (
         SELECT d.id, d.parent_id FROM department d WHERE d.manager_id = u.employee_id
            OR d.id IN (SELECT g.department_id FROM role_grant g WHERE g.user_id = u.id)
         UNION SELECT d.id, d.parent_id FROM below b JOIN department d ON d.parent_id = b.id)
       SELECT coalesce(json_agg(json_build_array(b.id, b.parent_id) ORDER BY b.id), '[]') FROM below b)
    FROM app_user u WHERE u.id = ANY(CAST(:ids AS bigint[]))"""),
)
_CREDENTIALS = "SELECT u.id, u.email::text, u.password_hash, u.is_active, u.token_epoch FROM app_user u"
_BY_EMAIL = Query("credentials_by_email", text(f"{_CREDENTIALS} WHERE u.email = CAST(:email AS citext)"))
_BY_SUBJECT = Query(
    "credentials_by_subject",
    text(f"""
    {_CREDENTIALS} JOIN user_identity i ON i.user_id = u.id WHERE i.issuer = :issuer AND i.subject = :subject"""),
)
_LINK = Query(
    "link_identity",
    text("""
    INSERT INTO user_identity (issuer, subject, user_id) SELECT :issuer, :subject, id FROM app_user
    WHERE email = CAST(:email AS citext) ON CONFLICT DO NOTHING"""),
)
_REVOKE = Query("revoke_tokens", text("UPDATE app_user SET token_epoch = token_epoch + 1 WHERE id = :id"))


class CredentialsRow(Row, frozen=True, array_like=True):
    """What signing in checks; never cached."""

    id: UserId
    email: str
    password_hash: str | None
    is_active: bool
    token_epoch: int


class UserListKey(msgspec.Struct, frozen=True):
    """Which users are listed: by a part of the email, by a role, the first `limit`."""

    search: str | None
    role: Role | None
    limit: int


async def users_by_id(connection: ReadConnection, ids: Sequence[UserId]) -> dict[UserId, UserRow]:
    """Users by id."""
    return {row.id: row for row in await connection.all(_BY_ID, UserRow, ids=ids)}


async def grants_by_user(connection: ReadConnection, ids: Sequence[UserId]) -> dict[UserId, tuple[RoleGrantRow, ...]]:
    """The roles of each user, expired ones as well."""
    found: defaultdict[UserId, list[RoleGrantRow]] = defaultdict(list)
    for row in await connection.all(_GRANTS, RoleGrantRow, ids=ids):
        found[row.user_id].append(row)
    return {user: tuple(rows) for user, rows in found.items()}


async def viewers_by_user(connection: ReadConnection, ids: Sequence[UserId]) -> dict[UserId, ViewerFacts]:
    """What decides what each user may do."""
    found = {}
    for record in await connection.records(_VIEWERS, ids=ids):
        facts = msgspec.convert(record, ViewerFacts)
        found[facts.user_id] = facts
    return found


async def users_listed(
    connection: ReadConnection, keys: Sequence[UserListKey]
) -> dict[UserListKey, tuple[UserRow, ...]]:
    """The users of each list by email; one statement a list, since a request asks for one."""
    found = {}
    columns = ", ".join(f"u.{name}" for name in UserRow.__struct_fields__)
    for key in keys:
        where = Where()
        if key.search:
            where.add("u.email LIKE '%' || CAST(:search AS citext) || '%'", search=literal(key.search))
        if key.role:
            where.add(
                "EXISTS (SELECT FROM role_grant g WHERE g.user_id = u.id AND g.role = CAST(:role AS role_name))",
                role=key.role,
            )
        sql = f"SELECT {columns} FROM app_user u WHERE {where.sql} ORDER BY u.email LIMIT CAST(:rows AS int)"
        rows = await connection.all(statement("users", sql), UserRow, **where.parameters, rows=key.limit)
        found[key] = tuple(rows)
    return found


async def credentials_by_email(connection: ReadConnection, email: str) -> CredentialsRow | None:
    """The user who signs in with this address, whatever its case."""
    return await connection.first(_BY_EMAIL, CredentialsRow, email=email)


async def credentials_by_subject(connection: ReadConnection, issuer: str, subject: str) -> CredentialsRow | None:
    """The user whom a foreign issuer's subject is tied to."""
    return await connection.first(_BY_SUBJECT, CredentialsRow, issuer=issuer, subject=subject)


async def link_identity(connection: WriteConnection, issuer: str, subject: str, email: str) -> None:
    """Tie a foreign subject to the user of an address that the issuer verified."""
    await connection.execute(_LINK, issuer=issuer, subject=subject, email=email)


async def revoke_tokens(connection: WriteConnection, user_id: int) -> None:
    """Make every token that the user holds worthless."""
    await connection.execute(_REVOKE, id=user_id)
