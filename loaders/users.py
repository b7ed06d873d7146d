"""Lookups of users and of what they are allowed."""

from cache.policy import Policy
from db import tags, users
from db.rows import RoleGrantRow, UserRow
from domain.ids import UserId
from domain.permission import ViewerFacts
from loaders.batch import Batch


def _viewer_tags(user_id: UserId) -> tuple[str, ...]:
    return tags.USER(user_id), tags.GRANT_USER(user_id), tags.DEPARTMENT_ANY()


user_by_id = Batch(users.users_by_id, Policy("user", UserRow, "employee", lambda key: (tags.USER(key),)))
grants_by_user = Batch(
    users.grants_by_user,
    Policy("role_grants", tuple[RoleGrantRow, ...], "employee", lambda key: (tags.GRANT_USER(key),)),
    absent=(),
)
viewer_by_user = Batch(users.viewers_by_user, Policy("viewer", ViewerFacts, "employee", _viewer_tags))
users_listed = Batch(
    users.users_listed,
    Policy("users", tuple[UserRow, ...], "list", lambda _: (tags.USER_ANY(), tags.GRANT_ANY())),
    absent=(),
)
