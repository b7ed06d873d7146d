"""Our own access and refresh tokens: EdDSA-signed JSON Web Tokens, verified once and then remembered until they expire.

Whether the user is still active and the epoch still the user's is for the caller to ask of the database each time.
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.jwk import KeySet, KeySetSerialization, OKPKey
from joserfc.jwt import JWTClaimsRegistry

from domain.errors import Unauthenticated
from web.jwt import MALFORMED, PinnedAlgorithms, verified_claims

Use = Literal["access", "refresh"]
EDDSA = PinnedAlgorithms("EdDSA")


class TokenPair(msgspec.Struct, frozen=True):
    """What a sign-in gives."""

    access_token: str
    refresh_token: str
    expires_in_s: int


class TokenClaims(msgspec.Struct, frozen=True):
    """What a verified token says; `expires_at_s` is Unix time."""

    user_id: int
    token_epoch: int
    token_id: str
    expires_at_s: int


class Tokens:
    """Issues and verifies the tokens of one key, issuer and audience."""

    def __init__(
        self,
        key: OKPKey,
        *,
        issuer: str = "rollcall",
        audience: str = "rollcall",
        access_ttl: timedelta = timedelta(minutes=15),
        refresh_ttl: timedelta = timedelta(days=14),
        leeway: timedelta = timedelta(seconds=30),
        most_remembered: int = 4096,
    ) -> None:
        self._keys = KeySet([key])
        self._header = {"alg": "EdDSA", "kid": key.kid}
        self._issuer = issuer
        self._audience = audience
        self._ttl_s_by_use: dict[Use, int] = {
            "access": int(access_ttl.total_seconds()),
            "refresh": int(refresh_ttl.total_seconds()),
        }
        self._leeway_s = int(leeway.total_seconds())
        self._most_remembered = most_remembered
        self._claims_by_token: OrderedDict[str, TokenClaims] = OrderedDict()

    def issue(self, user_id: int, token_epoch: int, now: datetime) -> TokenPair:
        """Fresh tokens of a user."""
        return TokenPair(
            access_token=self._signed(user_id, token_epoch, "access", now),
            refresh_token=self._signed(user_id, token_epoch, "refresh", now),
            expires_in_s=self._ttl_s_by_use["access"],
        )

    def verify_access(self, token: str, now: datetime) -> TokenClaims:
        """The claims of an access token; raises Unauthenticated that says what is wrong with it."""
        now_s = int(now.timestamp())
        claims = self._claims_by_token.get(token)
        if claims and claims.expires_at_s + self._leeway_s > now_s:
            self._claims_by_token.move_to_end(token)
            return claims
        self._claims_by_token.pop(token, None)
        claims = self._verified(token, "access", now_s)
        self._claims_by_token[token] = claims
        if len(self._claims_by_token) > self._most_remembered:
            self._claims_by_token.popitem(last=False)
        return claims

    def verify_refresh(self, token: str, now: datetime) -> TokenClaims:
        """The claims of a refresh token."""
        return self._verified(token, "refresh", int(now.timestamp()))

    def jwks(self) -> KeySetSerialization:
        """The public key, for others who verify our tokens."""
        return self._keys.as_dict(use="sig", alg="EdDSA")

    def _signed(self, user_id: int, token_epoch: int, use: Use, now: datetime) -> str:
        issued_at_s = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "epoch": token_epoch,
            "use": use,
            "iat": issued_at_s,
            "exp": issued_at_s + self._ttl_s_by_use[use],
            "jti": token_urlsafe(12),
        }
        return jwt.encode(self._header, claims, self._keys, registry=EDDSA)

    def _verified(self, token: str, use: Use, now_s: int) -> TokenClaims:
        rules = JWTClaimsRegistry(
            now=now_s,
            leeway=self._leeway_s,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            use={"essential": True, "value": use},
            sub={"essential": True},
            epoch={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )
        claims = verified_claims(token, self._keys, EDDSA, rules)
        try:
            return TokenClaims(int(claims["sub"]), int(claims["epoch"]), claims["jti"], int(claims["exp"]))
        except (ValueError, TypeError) as error:
            raise Unauthenticated(MALFORMED) from error
