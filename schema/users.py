"""Users as the API shows them."""

from datetime import datetime

import strawberry

from db.rows import RoleGrantRow, UserRow
from domain.enums import Role
from resolvers import users as resolve
from schema.departments import Department
from schema.employees import Employee
from schema.locations import Location
from schema.node import Node, rows_of


@strawberry.type(description="A role of a user; without department and location it is for everyone.")
class RoleGrant:
    is_type_of = rows_of(RoleGrantRow)
    role: Role = strawberry.field(description="The role.")
    department = strawberry.field(
        resolver=resolve.grant_department, graphql_type=Department | None, description="For this one and all below it."
    )
    location = strawberry.field(
        resolver=resolve.grant_location, graphql_type=Location | None, description="For this location."
    )
    expires_at: datetime | None = strawberry.field(description="When it ends; null is never.")


@strawberry.type(description="Who can sign in.")
class User(Node):
    is_type_of = rows_of(UserRow)
    email: str = strawberry.field(description="The address to sign in with.")
    is_active: bool = strawberry.field(description="Whether the user can sign in.")
    employee = strawberry.field(
        resolver=resolve.employee, graphql_type=Employee | None, description="The user's employee record."
    )
    roles = strawberry.field(
        resolver=resolve.roles,
        graphql_type=list[RoleGrant],
        description="What the user may do, without what has expired.",
    )
