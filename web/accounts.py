"""What sign-in needs to know about users; db has the rows, whoever wires the service joins the two."""

from typing import Protocol

import msgspec

from cache.reading import Seen
from domain.errors import Unauthenticated


class Account(msgspec.Struct, frozen=True):
    """A user as sign-in sees one; tokens of another epoch are revoked."""

    user_id: int
    email: str
    password_hash: str | None
    is_active: bool
    token_epoch: int


class Accounts(Protocol):
    """Where accounts come from."""

    async def by_email(self, email: str) -> Account | None:
        """The account of an address, whatever its case."""

    async def by_id(self, user_id: int, seen: Seen | None = None) -> Account | None:
        """The account of a user; `seen` is what the request has looked for in the cache already."""

    async def by_subject(self, issuer: str, subject: str, email: str | None) -> Account | None:
        """The account that a foreign issuer's subject is tied to; the email is given only if the issuer verified it."""

    async def revoke(self, user_id: int) -> None:
        """Raise the user's token epoch by one."""


def admitted(account: Account | None, token_epoch: int) -> Account:
    """The account, if a token of that epoch still opens it."""
    if account is None or not account.is_active:
        raise Unauthenticated("the user of the token is not active any more")
    if account.token_epoch != token_epoch:
        raise Unauthenticated("the token was revoked; sign in again")
    return account
