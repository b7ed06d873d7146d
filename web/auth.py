"""Who a request comes from, and the routes below /auth; web/token_endpoint.py hands the tokens out."""

from collections.abc import Callable, Set
from datetime import datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cache.reading import Seen
from domain.errors import Unauthenticated, Unavailable
from telemetry.clock import utc_now
from web.accounts import Account, Accounts, admitted
from web.oidc import OidcIssuers
from web.passwords import Passwords
from web.proxies import AdmitsKnownPasswords, from_nowhere
from web.throttle import Throttle
from web.token_endpoint import FAILURES_PER_EMAIL_AND_CLIENT, NO_STORE, TokenEndpoint, refusal
from web.tokens import TokenClaims, Tokens

BEARER_NEEDED = "needed the header 'Authorization: Bearer <access token>'"


class Authenticator:
    """Finds the account that a request's Authorization header speaks for."""

    def __init__(
        self,
        tokens: Tokens,
        accounts: Accounts,
        *,
        issuers: OidcIssuers | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._tokens = tokens
        self._accounts = accounts
        self._issuers = issuers
        self._clock = clock

    async def authenticate(self, authorization_header: str | None, seen: Seen | None = None) -> Account | None:
        """The account, None without a header; raises Unauthenticated when the token is no longer or was never good.

        `seen` is what the request has looked for in the cache already.
        """
        if authorization_header is None:
            return None
        scheme, _, token = authorization_header.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(f"{BEARER_NEEDED}, got something else")
        if self._issuers and (account := await self._foreign(token, self._issuers)):
            return account
        claims = self._tokens.verify_access(token, self._clock())
        return admitted(await self._accounts.by_id(claims.user_id, seen), claims.token_epoch)

    def own_claims(self, authorization_header: str | None) -> TokenClaims | None:
        """What a good token of ours says, without asking whether its user is still active and its epoch the user's.

        None for anything else, also for no header.
        """
        scheme, _, token = (authorization_header or "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            return self._tokens.verify_access(token.strip(), self._clock())
        except Unauthenticated:
            return None

    async def _foreign(self, token: str, issuers: OidcIssuers) -> Account | None:
        identity = await issuers.identify(token, self._clock())
        if identity is None:
            return None
        email = identity.email if identity.email_verified else None
        account = await self._accounts.by_subject(identity.issuer, identity.subject, email)
        if account is None:
            raise Unauthenticated(f"no user here is tied to this account of {identity.issuer}; ask an administrator")
        return admitted(account, account.token_epoch)


def auth_routes(
    tokens: Tokens,
    passwords: Passwords,
    accounts: Accounts,
    authenticator: Authenticator,
    *,
    throttle: Throttle | None = None,
    failures: int = FAILURES_PER_EMAIL_AND_CLIENT,
    known_passwords: Set[str] = frozenset(),
    admits_known: AdmitsKnownPasswords = from_nowhere,
    clock: Callable[[], datetime] = utc_now,
) -> list[Route]:
    """POST /auth/token, POST /auth/logout, GET /auth/jwks.json.

    After `failures` one client waits to try an address; with one of the
    `known_passwords` only those sign in whom `admits_known` lets.
    """
    throttle = throttle or Throttle()
    endpoint = TokenEndpoint(
        tokens,
        passwords,
        accounts,
        throttle,
        clock,
        failures=failures,
        known_passwords=known_passwords,
        admits_known=admits_known,
    )

    async def logout(request: Request) -> Response:
        try:
            account = await authenticator.authenticate(request.headers.get("authorization"))
            if account is None:
                raise Unauthenticated(f"{BEARER_NEEDED}, got none")
            await accounts.revoke(account.user_id)
        except (Unauthenticated, Unavailable) as error:
            return refusal(error)
        return Response(status_code=204, headers=NO_STORE)

    async def jwks(_: Request) -> Response:
        return JSONResponse(tokens.jwks(), headers={"Cache-Control": "public, max-age=3600"})

    return [
        Route("/auth/token", endpoint.answer, methods=["POST"]),
        Route("/auth/logout", logout, methods=["POST"]),
        Route("/auth/jwks.json", jwks, methods=["GET"]),
    ]
