"""Accounts out of the database; who is signed in already comes from the cache, as fresh as everything in it."""

from cache.reading import Seen
from cache.second_level import SecondLevelCache
from db import users
from db.database import Database
from db.users import CredentialsRow
from domain.ids import UserId
from domain.permission import ViewerFacts
from loaders.batch import Loaders, OnHits
from loaders.unit_of_work import unit_of_work
from loaders.users import viewer_by_user
from web.accounts import Account


class ViewerAccount(Account, frozen=True):
    """An account with everything that decides what its user may do, and the loaders that looked it up."""

    facts: ViewerFacts
    loaders: Loaders


class UserAccounts:
    """The users of one installation."""

    def __init__(
        self, database: Database, cache: SecondLevelCache, on_hits: OnHits | None = None, *, reads_cache: bool = True
    ) -> None:
        self._database = database
        self._on_hits = on_hits
        self._cache = cache
        self._read_cache = cache if reads_cache else SecondLevelCache(None)

    async def by_email(self, email: str) -> Account | None:
        """The account of an address, whatever its case."""
        async with self._database.read() as connection:
            found = await users.credentials_by_email(connection, email)
        if found:
            await self.by_id(found.id)  # so that the first query after it finds it in the cache
        return _account(found)

    async def by_id(self, user_id: int, seen: Seen | None = None) -> ViewerAccount | None:
        """The account of a user; `seen` is what the request has looked for in the cache already."""
        loaders = Loaders(self._database, self._read_cache, self._on_hits)
        loaders.seen = seen
        facts = await loaders.load(viewer_by_user, UserId(user_id))
        if facts is None:
            return None
        return ViewerAccount(facts.user_id, facts.email, None, facts.is_active, facts.token_epoch, facts, loaders)

    async def by_subject(self, issuer: str, subject: str, email: str | None) -> Account | None:
        """The account that a foreign subject is tied to; one with the verified address is tied to it now."""
        async with self._database.read() as connection:
            found = await users.credentials_by_subject(connection, issuer, subject)
        if found is None and email is not None:
            async with unit_of_work(self._database, self._cache) as unit:
                await users.link_identity(unit.connection, issuer, subject, email)
                found = await users.credentials_by_subject(unit.connection, issuer, subject)
        return await self.by_id(found.id) if found else None

    async def revoke(self, user_id: int) -> None:
        """Raise the user's token epoch by one."""
        async with unit_of_work(self._database, self._cache) as unit:
            await users.revoke_tokens(unit.connection, user_id)


def _account(row: CredentialsRow | None) -> Account | None:
    if row is None:
        return None
    return Account(row.id, row.email, row.password_hash, row.is_active, row.token_epoch)
