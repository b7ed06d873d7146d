"""Changes of users and of what they are granted."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import select, text

from db import tables
from db.connection import Query, WriteConnection
from db.parameters import key
from db.rows import RoleGrantRow, UserRow, columns_of
from domain.ids import UserId

ADMINISTRATORS_LOCK: Final = 7401

_T = tables.app_user
_LOCK = Query("administrators_lock", text(f"SELECT pg_advisory_xact_lock({ADMINISTRATORS_LOCK})"))
_FOR_UPDATE = Query("user_for_update", select(*columns_of(_T, UserRow)).where(_T.c.id == key("id")).with_for_update())
_GRANT = Query(
    "role_grant_save",
    text("""
    INSERT INTO role_grant (user_id, role, department_id, location_id, expires_at, granted_by)
    VALUES (CAST(:user_id AS bigint), CAST(:role AS role_name), CAST(:department_id AS int), CAST(:location_id AS int),
            CAST(:expires_at AS timestamptz), CAST(:granted_by AS bigint))
    ON CONFLICT (user_id, role, coalesce(department_id, 0), coalesce(location_id, 0)) DO UPDATE
    SET expires_at = excluded.expires_at, granted_by = excluded.granted_by, granted_at = now()
    WHERE role_grant.expires_at IS DISTINCT FROM excluded.expires_at"""),
)
_REVOKE = Query(
    "role_grant_remove",
    text("""
    DELETE FROM role_grant WHERE user_id = CAST(:user_id AS bigint) AND role = CAST(:role AS role_name)
    AND department_id IS NOT DISTINCT FROM CAST(:department_id AS int)
    AND location_id IS NOT DISTINCT FROM CAST(:location_id AS int)"""),
)
_SET_ACTIVE = Query(
    "user_set_active",
    text("""
    UPDATE app_user SET is_active = :active, token_epoch = token_epoch + CASE WHEN :active THEN 0 ELSE 1 END
    WHERE id = CAST(:id AS bigint) AND is_active <> :active"""),
)
_ADMINISTRATORS = Query(
    "administrators",
    text("""
    SELECT count(DISTINCT u.id), count(DISTINCT u.id) FILTER (WHERE g.expires_at IS NULL)
    FROM app_user u JOIN role_grant g ON g.user_id = u.id
    WHERE u.is_active AND g.role = 'ADMIN' AND (g.expires_at IS NULL OR g.expires_at > CAST(:now AS timestamptz))"""),
)


class Administrators(msgspec.Struct, frozen=True, array_like=True):
    """How many active users are administrators now, and how many of them without an end."""

    now: int
    lasting: int


async def lock_administrators(connection: WriteConnection) -> None:
    """Be the only one who changes users until the transaction ends: two could take the last role from each other."""
    await connection.records(_LOCK)


async def administrators(connection: WriteConnection, now: datetime) -> Administrators:
    """Count the administrators."""
    [found] = await connection.all(_ADMINISTRATORS, Administrators, now=now)
    return found


async def user_for_update(connection: WriteConnection, user_id: int) -> UserRow | None:
    """A user, locked until the transaction ends."""
    return await connection.first(_FOR_UPDATE, UserRow, id=user_id)


async def save_grant(connection: WriteConnection, row: RoleGrantRow, granted_by: UserId) -> None:
    """Grant a role; one that is granted already gets another end."""
    await connection.execute(_GRANT, **msgspec.structs.asdict(row), granted_by=granted_by)


async def remove_grant(connection: WriteConnection, row: RoleGrantRow) -> bool:
    """Take back a role; False when it was never granted like that."""
    return await connection.execute(_REVOKE, **msgspec.structs.asdict(row)) == 1


async def set_active(connection: WriteConnection, user_id: UserId, active: bool) -> None:
    """Let a user sign in or not; tokens of a user who may not are worthless from now on."""
    await connection.execute(_SET_ACTIVE, id=user_id, active=active)
