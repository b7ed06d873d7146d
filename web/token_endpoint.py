"""POST /auth/token: the password and the refresh_token grants of OAuth 2.0, and refusals in its words."""

from collections.abc import Callable, Set
from datetime import datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from domain.errors import RollcallError, Unauthenticated, Unavailable
from web.accounts import Account, Accounts, admitted
from web.passwords import Passwords
from web.proxies import AdmitsKnownPasswords, from_nowhere
from web.request_errors import RequestError
from web.throttle import Throttle, TooManyAttempts
from web.token_request import OAuthError, TokenRequest, client_of, read_token_request
from web.tokens import Tokens

FAILURES_PER_EMAIL_AND_CLIENT = 5
FAILURES_PER_CLIENT = 50
FAILURES_PER_EMAIL = 100  # above the limit of a client, so that one stranger cannot lock somebody out
LONGEST_EMAIL = 254  # RFC 5321; also bounds what the throttle keeps
WELL_KNOWN = (
    "everybody knows the password of the demo: it is good only for clients on the service's own machine,"
    " while HOST is a loopback address and no proxy is between; `rollcall user password` sets another"
)
NO_STORE = {"Cache-Control": "no-store"}


class TokenEndpoint:
    """Gives tokens for a password or a refresh token."""

    def __init__(
        self,
        tokens: Tokens,
        passwords: Passwords,
        accounts: Accounts,
        throttle: Throttle,
        clock: Callable[[], datetime],
        *,
        failures: int = FAILURES_PER_EMAIL_AND_CLIENT,
        known_passwords: Set[str] = frozenset(),
        admits_known: AdmitsKnownPasswords = from_nowhere,
    ) -> None:
        self._tokens = tokens
        self._passwords = passwords
        self._accounts = accounts
        self._throttle = throttle
        self._clock = clock
        self._failures = failures
        self._known_passwords = known_passwords
        self._admits_known = admits_known

    async def answer(self, request: Request) -> Response:
        """The tokens, or the refusal."""
        try:
            account = await self._account(await read_token_request(request), request)
        except (OAuthError, Unavailable, TooManyAttempts, RequestError) as error:
            return refusal(error)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        pair = self._tokens.issue(account.user_id, account.token_epoch, self._clock())
        content = {
            "access_token": pair.access_token,
            "token_type": "Bearer",
            "expires_in": pair.expires_in_s,
            "refresh_token": pair.refresh_token,
        }
        return JSONResponse(content, headers=NO_STORE)

    async def _account(self, asked: TokenRequest, request: Request) -> Account:
        match asked.grant_type:
            case "password":
                account = await self._by_password(asked.username.strip(), asked.password, client_of(request))
                if asked.password in self._known_passwords and not self._admits_known(request.scope):
                    raise OAuthError("invalid_grant", WELL_KNOWN)
                return account
            case "refresh_token":
                return await self._by_refresh_token(asked.refresh_token)
            case "":
                raise OAuthError("invalid_request", "grant_type: needed password or refresh_token, got none")
        raise OAuthError("unsupported_grant_type", "grant_type: needed password or refresh_token, got another")

    async def _by_password(self, email: str, password: str, client: str) -> Account:
        if not email or not password:
            raise OAuthError("invalid_request", "the password grant needs username (the email address) and password")
        if len(email) > LONGEST_EMAIL or not email.isprintable():
            raise OAuthError("invalid_request", "username: needed an email address, got something else")
        attempts = _limit_by_key(email, client, self._failures)
        self._throttle.begin(attempts, self._clock())
        try:
            account = await self._accounts.by_email(email)
            good = await self._passwords.verify(account.password_hash if account else None, password)
        except Unavailable:
            self._throttle.take_back(attempts)
            raise
        if account is None or not good or not account.is_active:
            raise OAuthError("invalid_grant", "the email address or the password is wrong")
        self._throttle.take_back(attempts)
        return account

    async def _by_refresh_token(self, token: str) -> Account:
        if not token:
            raise OAuthError("invalid_request", "the refresh_token grant needs refresh_token")
        try:
            claims = self._tokens.verify_refresh(token, self._clock())
            return admitted(await self._accounts.by_id(claims.user_id), claims.token_epoch)
        except Unauthenticated as error:
            raise OAuthError("invalid_grant", error.message) from error


def _limit_by_key(email: str, client: str, failures: int) -> dict[str, int]:
    email = email.casefold()
    return {
        f"both {client} {email}": failures,
        f"client {client}": FAILURES_PER_CLIENT,
        f"email {email}": FAILURES_PER_EMAIL,
    }


def refusal(error: RollcallError) -> Response:
    """The error in the words of RFC 6749 and RFC 6750."""
    headers = dict(NO_STORE)
    match error:
        case Unauthenticated():
            code, status = "invalid_token", 401
            headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        case Unavailable(retry_after_s=wait_s):
            code, status = "temporarily_unavailable", 503
            headers["Retry-After"] = str(wait_s)
        case TooManyAttempts(retry_after_s=wait_s):
            code, status = "slow_down", 429
            headers["Retry-After"] = str(wait_s)
        case RequestError():
            code, status = "invalid_request", error.status
            headers |= error.headers
        case OAuthError():
            code, status = error.error, 400
        case _:
            raise error
    return JSONResponse({"error": code, "error_description": error.message}, status, headers)
