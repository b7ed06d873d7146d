"""Who a user is at this moment: what its grants come to, looked up like everything else."""

from datetime import datetime
from functools import lru_cache
from typing import Final

import msgspec

from cache.dependencies import Dependencies
from domain.enums import Role
from domain.ids import UserId
from domain.permission import Viewer, ViewerFacts, viewer_of
from loaders.batch import Loaders
from loaders.users import viewer_by_user

CLASSES: Final = (
    Role.ADMIN,
    Role.HR,
    Role.PAYROLL,
    Role.AUDITOR,
    Role.ANALYST,
    Role.MANAGER,
    Role.DEVICE,
    Role.EMPLOYEE,
)


NOBODY: Final = "nobody"


def class_of(viewer: Viewer | None) -> str:
    """A viewer's class in figures: the first of the roles in this order, or nobody."""
    return _class_of_roles(viewer.roles) if viewer else NOBODY


@lru_cache(maxsize=256)
def _class_of_roles(roles: frozenset[Role]) -> str:
    return next((role.value for role in CLASSES if role in roles), NOBODY)


class ViewerNow(msgspec.Struct, frozen=True):
    """A viewer, the epoch of tokens that speak for it, and when one of its roles ends."""

    viewer: Viewer
    token_epoch: int
    valid_until: datetime | None


class ViewerBasis(msgspec.Struct, frozen=True):
    """What it rests on who the viewer is; without `dependencies` nothing vouches for it any longer."""

    dependencies: Dependencies | None = None
    valid_until: datetime | None = None


async def viewer_from(loaders: Loaders, user_id: UserId, now: datetime) -> ViewerNow | None:
    """The viewer that a user is; None for one that is not there or not active."""
    facts = await loaders.load(viewer_by_user, user_id)
    return viewer_with(facts, now) if facts is not None and facts.is_active else None


def viewer_with(facts: ViewerFacts, now: datetime) -> ViewerNow:
    """The viewer that these facts come to."""
    ends = [grant.expires_at for grant in facts.grants if grant.expires_at is not None and grant.expires_at > now]
    return ViewerNow(viewer_of(facts, now), facts.token_epoch, min(ends, default=None))
