"""What the fields of users do."""

import strawberry

from db.rows import DepartmentRow, EmployeeRow, LocationRow, RoleGrantRow, UserRow
from db.users import UserListKey
from domain.errors import Forbidden
from domain.ids import UserId
from loaders.departments import department_by_id
from loaders.locations import location_by_id
from loaders.users import grants_by_user, user_by_id, users_listed
from resolvers.arguments import given, size_of, sought
from resolvers.context import Context, Info
from resolvers.described import First, RoleOnly, UserSearch


async def me(info: Info) -> UserRow:
    """Who is signed in."""
    return await info.context.must(user_by_id, info.context.require_viewer().user_id)


async def users(
    info: Info, search: UserSearch = strawberry.UNSET, role: RoleOnly = strawberry.UNSET, first: First = 50
) -> list[UserRow]:
    """Users by email; for administrators and auditors."""
    viewer = info.context.require_viewer()
    if not (viewer.administers or viewer.audits):
        raise Forbidden("users: needed the role ADMIN or AUDITOR")
    key = UserListKey(sought(search, "search"), given(role), size_of(first))
    return list(await info.context.must(users_listed, key))


async def user_if_seen(context: Context, user_id: UserId) -> UserRow | None:
    """A user, if it is the viewer or the viewer may see all."""
    viewer = context.require_viewer()
    if user_id != viewer.user_id and not (viewer.administers or viewer.audits):
        return None
    return await context.load(user_by_id, user_id)


async def employee(row: strawberry.Parent[UserRow], info: Info) -> EmployeeRow | None:
    """The employee record of the user, if the viewer may see it."""
    return None if row.employee_id is None else await info.context.employee(row.employee_id)


async def roles(row: strawberry.Parent[UserRow], info: Info) -> list[RoleGrantRow]:
    """What the user was granted, without what has expired."""
    grants = await info.context.must(grants_by_user, row.id)
    return [grant for grant in grants if grant.expires_at is None or not info.context.has_come(grant.expires_at)]


async def grant_department(row: strawberry.Parent[RoleGrantRow], info: Info) -> DepartmentRow | None:
    """The department that the role is for."""
    return None if row.department_id is None else await info.context.load(department_by_id, row.department_id)


async def grant_location(row: strawberry.Parent[RoleGrantRow], info: Info) -> LocationRow | None:
    """The location that the role is for."""
    return None if row.location_id is None else await info.context.load(location_by_id, row.location_id)
