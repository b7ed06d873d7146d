"""One signed-up company in memory, a clock moved by hand, and a client of the real routes."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import msgspec
import pytest
from joserfc.jwk import OKPKey
from starlette.applications import Starlette

from cache.reading import Seen
from web.accounts import Account
from web.auth import Authenticator, auth_routes
from web.passwords import Passwords, hash_password
from web.tokens import Tokens

NOW = datetime(2026, 3, 17, 8, 0, tzinfo=UTC)
KEY = OKPKey.import_key(
    {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",  # the key of RFC 8037, appendix A
        "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    }
)
PASSWORD = "correct horse"
PASSWORD_HASH = hash_password(PASSWORD)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **amount: float) -> None:
        self.now += timedelta(**amount)


class CompanyAccounts:
    """Accounts kept in a dict, tied to foreign subjects by their verified email."""

    def __init__(self, *accounts: Account) -> None:
        self.account_by_id = {account.user_id: account for account in accounts}
        self.asked_subjects: list[tuple[str, str, str | None]] = []

    async def by_email(self, email: str) -> Account | None:
        return next((a for a in self.account_by_id.values() if a.email == email.lower()), None)

    async def by_id(self, user_id: int, seen: Seen | None = None) -> Account | None:
        return self.account_by_id.get(user_id)

    async def by_subject(self, issuer: str, subject: str, email: str | None) -> Account | None:
        self.asked_subjects.append((issuer, subject, email))
        return await self.by_email(email) if email else None

    async def revoke(self, user_id: int) -> None:
        self.change(user_id, token_epoch=self.account_by_id[user_id].token_epoch + 1)

    def change(self, user_id: int, **fields: object) -> None:
        self.account_by_id[user_id] = msgspec.structs.replace(self.account_by_id[user_id], **fields)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts() -> CompanyAccounts:
    return CompanyAccounts(
        Account(7, "ada@rollcall.test", PASSWORD_HASH, True, 3),
        Account(8, "gone@rollcall.test", PASSWORD_HASH, False, 0),
        Account(9, "sso@rollcall.test", None, True, 0),
    )


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(KEY)


@pytest.fixture
def app(tokens: Tokens, accounts: CompanyAccounts, clock: Clock, passwords: Passwords) -> Starlette:
    authenticator = Authenticator(tokens, accounts, clock=clock)
    return Starlette(routes=[*auth_routes(tokens, passwords, accounts, authenticator, clock=clock)])


@pytest.fixture(scope="session")
def passwords() -> Iterator[Passwords]:
    passwords = Passwords()
    yield passwords
    passwords.close()


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with client_from(app, "203.0.113.5") as client:
        yield client


def client_from(app: Starlette, address: str) -> httpx2.AsyncClient:
    """A client whose connection comes from the address."""
    transport = httpx2.ASGITransport(app=app, client=(address, 50_000))
    return httpx2.AsyncClient(transport=transport, base_url="http://rollcall.test")
