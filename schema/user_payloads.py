"""What the mutations of users answer."""

import strawberry

from resolvers import grants
from schema.node import rows_of
from schema.user_errors import UserError
from schema.users import User


@strawberry.type(description="What grantRole, revokeRole or setUserActive came to.")
class UserPayload:
    is_type_of = rows_of(grants.UserPayload)
    user: User | None = strawberry.field(description="As it is now; null when nothing was done.")
    user_errors: list[UserError] = strawberry.field(
        description="What the person at the keyboard can put right; empty when it was done."
    )
