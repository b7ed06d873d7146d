"""What administrators decide about users: roles given and taken back, and who may sign in."""

from datetime import datetime
from typing import Annotated, Final, TypeAlias

import msgspec
import strawberry
from strawberry import UNSET

from db.connection import WriteConnection
from db.rows import RoleGrantRow, UserRow
from db.user_writes import (
    administrators,
    lock_administrators,
    remove_grant,
    save_grant,
    set_active,
    user_for_update,
)
from domain.enums import Role
from domain.errors import ErrorCode
from domain.ids import DepartmentId, LocationId, UserId
from domain.permission import Viewer
from loaders.departments import department_by_id
from loaders.locations import location_by_id
from loaders.users import user_by_id
from resolvers.arguments import given, id_of
from resolvers.changes import UserErrorValue, changed, forbidden, invalid, not_found, problem
from resolvers.context import Context, Info
from resolvers.inputs import ID
from resolvers.organising import Saved

FOR_EVERYONE: Final = (Role.EMPLOYEE, Role.ADMIN, Role.AUDITOR)
"""Roles that no department and no location narrows."""
LAST_ADMINISTRATOR: Final = "is the last active administrator; make somebody else one first"


@strawberry.input(description="A role of a user; without department and location it is for everyone.")
class GrantInput:
    user_id: ID = strawberry.field(description="Whose.")
    role: Role = strawberry.field(description="Which role; EMPLOYEE, ADMIN and AUDITOR are always for everyone.")
    department_id: ID | None = strawberry.field(default=UNSET, description="For this one and all below it.")
    location_id: ID | None = strawberry.field(default=UNSET, description="For this location.")
    expires_at: datetime | None = strawberry.field(
        default=UNSET, description="When it ends; never by default. Taking a role back does not look at it."
    )


Grant: TypeAlias = Annotated[GrantInput, strawberry.argument(description="The role.")]
WhichUser: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="The user.")]
Active: TypeAlias = Annotated[bool, strawberry.argument(description="Whether the user can sign in.")]


class UserPayload(msgspec.Struct, frozen=True):
    """The user as it is now, or what was wrong."""

    user: UserRow | None
    user_errors: list[UserErrorValue]


async def grant_role(info: Info, input: Grant) -> UserPayload:
    """Give a user a role, or another end to one that the user has."""
    context = info.context
    return await _payload(context, *await changed(context, lambda connection: _grant(context, connection, input)))


async def revoke_role(info: Info, input: Grant) -> UserPayload:
    """Take a role back."""
    context = info.context
    return await _payload(context, *await changed(context, lambda connection: _revoke(context, connection, input)))


async def set_user_active(info: Info, user_id: WhichUser, active: Active) -> UserPayload:
    """Let a user sign in, or not any more: then every token of the user is worthless at once."""
    context = info.context
    done = await changed(context, lambda connection: _set_active(context, connection, user_id, active))
    return await _payload(context, *done)


async def _payload(context: Context, saved: Saved | None, problems: list[UserErrorValue]) -> UserPayload:
    return UserPayload(None if saved is None else await context.must(user_by_id, UserId(saved.id)), problems)


async def _grant(context: Context, connection: WriteConnection, input: GrantInput) -> Saved:
    viewer = _administrator(context)
    user = await _user(connection, input.user_id, "input.userId")
    grant = await _row(context, user, input)
    if grant.expires_at is not None and grant.expires_at <= context.now():
        raise invalid("input.expiresAt", f"needed an instant to come, got {grant.expires_at:%Y-%m-%dT%H:%M:%SZ}")
    lasting = (await administrators(connection, context.now())).lasting
    await save_grant(connection, grant, viewer.user_id)
    if lasting and not (await administrators(connection, context.now())).lasting:
        raise problem(ErrorCode.CONFLICT, "input.expiresAt", f"{user.email} {LAST_ADMINISTRATOR}", current=user)
    return Saved(user.id)


async def _revoke(context: Context, connection: WriteConnection, input: GrantInput) -> Saved:
    _administrator(context)
    user = await _user(connection, input.user_id, "input.userId")
    if not await remove_grant(connection, await _row(context, user, input)):
        raise not_found("input", "role of the user")
    await _refuse_without_administrators(context, connection, user, "input.role")
    return Saved(user.id)


async def _set_active(context: Context, connection: WriteConnection, user_id: str, active: bool) -> Saved:
    viewer = _administrator(context)
    user = await _user(connection, user_id, "userId")
    if not active and user.id == viewer.user_id:
        raise problem(
            ErrorCode.CONFLICT, "userId", "nobody can lock themselves out; ask another administrator", current=user
        )
    await set_active(connection, user.id, active)
    await _refuse_without_administrators(context, connection, user, "userId")
    return Saved(user.id)


async def _refuse_without_administrators(
    context: Context, connection: WriteConnection, user: UserRow, where: str
) -> None:
    if not (await administrators(connection, context.now())).now:
        raise problem(ErrorCode.CONFLICT, where, f"{user.email} {LAST_ADMINISTRATOR}", current=user)


def _administrator(context: Context) -> Viewer:
    viewer = context.require_viewer()
    if not viewer.administers:
        raise forbidden("", "needed the role ADMIN", Role.ADMIN)
    return viewer


async def _user(connection: WriteConnection, text: str, where: str) -> UserRow:
    """The user, locked; whoever changes users does so alone."""
    user_id = id_of(text, "User", where, int)
    await lock_administrators(connection)
    user = await user_for_update(connection, user_id)
    if user is None:
        raise not_found(where, "user")
    return user


async def _row(context: Context, user: UserRow, input: GrantInput) -> RoleGrantRow:
    """The grant that an input means, with a scope that exists and that the role can have."""
    department_id = location_id = None
    if (text := given(input.department_id)) is not None:
        if input.role in (*FOR_EVERYONE, Role.DEVICE):
            raise invalid("input.departmentId", f"needed none: {input.role} is not for a department")
        department_id = id_of(text, "Department", "input.departmentId", DepartmentId)
        if await context.load(department_by_id, department_id) is None:
            raise not_found("input.departmentId", "department")
    if (text := given(input.location_id)) is not None:
        if input.role in FOR_EVERYONE:
            raise invalid("input.locationId", f"needed none: {input.role} is not for a location")
        location_id = id_of(text, "Location", "input.locationId", LocationId)
        if await context.load(location_by_id, location_id) is None:
            raise not_found("input.locationId", "location")
    return RoleGrantRow(user.id, input.role, department_id, location_id, given(input.expires_at))
