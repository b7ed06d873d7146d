"""Tokens of foreign OpenID Connect issuers, verified with the keys that those publish; accounts are found elsewhere."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jwt import JWTClaimsRegistry

from domain.errors import Unavailable
from web.environment import SettingsError
from web.jwt import BROKEN, PinnedAlgorithms, unverified, verified_claims

ALGORITHMS = PinnedAlgorithms("RS256", "ES256", "EdDSA", "Ed25519")
KEY_TYPES = ("RSA", "EC", "OKP")
ASK_AGAIN_AFTER = timedelta(minutes=1)
KEYS_STAY_FRESH_FOR = timedelta(hours=1)
TIMEOUT_S = 5
LEEWAY_S = 30


class Issuer(msgspec.Struct, frozen=True):
    """An OpenID Connect provider that is trusted to say who somebody is; `audience` is our client id there."""

    url: str
    audience: str


class ForeignIdentity(msgspec.Struct, frozen=True):
    """Who the token is about, in the words of its issuer."""

    issuer: str
    subject: str
    email: str | None
    email_verified: bool


class Discovery(msgspec.Struct):
    """The part of a provider's metadata that is used."""

    issuer: str
    jwks_uri: str


class PublishedKeys(msgspec.Struct):
    """A JSON Web Key Set whose keys may be of kinds that we do not know."""

    keys: list[dict[str, Any]]


class IssuerKeys:
    """The keys of one issuer: fetched when first needed, when an unknown one is named, and every hour."""

    def __init__(self, issuer: Issuer, client: httpx2.AsyncClient) -> None:
        self._url = _checked(issuer.url)
        self._client = client
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._asked_at: datetime | None = None

    async def for_key_id(self, key_id: str | None, now: datetime) -> KeySet:
        """The keys, asked for anew when that may help, but never more often than once a minute."""
        if self._outdated(key_id, now):
            async with self._lock:
                if self._outdated(key_id, now):
                    await self._refresh(now)
        if self._keys is None:
            raise Unavailable(f"the sign-in provider {self._url} gives no keys at the moment", retry_after_s=60)
        return self._keys

    def _outdated(self, key_id: str | None, now: datetime) -> bool:
        if self._asked_at and now - self._asked_at < ASK_AGAIN_AFTER:
            return False
        if self._keys is None or self._fetched_at is None or now - self._fetched_at >= KEYS_STAY_FRESH_FOR:
            return True
        return key_id is not None and all(key.kid != key_id for key in self._keys)

    async def _refresh(self, now: datetime) -> None:
        try:
            discovery = msgspec.json.decode(
                await self._get(f"{self._url.rstrip('/')}/.well-known/openid-configuration"), type=Discovery
            )
            if discovery.issuer == self._url:
                published = msgspec.json.decode(await self._get(_checked(discovery.jwks_uri)), type=PublishedKeys)
                self._keys = KeySet([key for data in published.keys if (key := _usable(data))])
                self._fetched_at = now
        except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.MsgspecError, SettingsError):
            pass  # the keys that we have stay good; without any the caller hears of it
        self._asked_at = now

    async def _get(self, url: str) -> bytes:
        response = await self._client.get(url, timeout=TIMEOUT_S, follow_redirects=False)
        response.raise_for_status()
        return response.content


class OidcIssuers:
    """Recognises tokens by their issuer and verifies them."""

    def __init__(self, issuers: Sequence[Issuer], client: httpx2.AsyncClient) -> None:
        self._issuer_by_url = {issuer.url: issuer for issuer in issuers}
        self._keys_by_url = {issuer.url: IssuerKeys(issuer, client) for issuer in issuers}

    async def identify(self, token: str, now: datetime) -> ForeignIdentity | None:
        """Who the token is about; None when it does not claim to be of one of the issuers."""
        if not self._issuer_by_url:
            return None
        parts = unverified(token, ALGORITHMS)
        issuer = self._issuer_by_url.get(_claimed_issuer(parts.payload))
        if issuer is None:
            return None
        keys = await self._keys_by_url[issuer.url].for_key_id(parts.headers().get("kid"), now)
        claims = verified_claims(token, keys, ALGORITHMS, _rules(issuer, now))
        email = claims.get("email")
        return ForeignIdentity(
            issuer=issuer.url,
            subject=claims["sub"],
            email=email if isinstance(email, str) else None,
            email_verified=claims.get("email_verified") is True,
        )


def _claimed_issuer(payload: bytes | None) -> str:
    try:
        claimed = msgspec.json.decode(payload or b"", type=dict[str, msgspec.Raw]).get("iss", msgspec.Raw(b'""'))
        return msgspec.json.decode(claimed, type=str)
    except (msgspec.MsgspecError, *BROKEN):
        return ""


def _rules(issuer: Issuer, now: datetime) -> JWTClaimsRegistry:
    return JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=LEEWAY_S,
        iss={"essential": True, "value": issuer.url},
        aud={"essential": True, "value": issuer.audience},
        sub={"essential": True},
        exp={"essential": True},
    )


def _usable(data: dict[str, Any]) -> Key | None:
    if data.get("kty") not in KEY_TYPES or data.get("use", "sig") != "sig":
        return None
    try:
        return JWKRegistry.import_key(data)
    except (JoseError, KeyError, *BROKEN):
        return None


def _checked(url: str) -> str:
    """Keys that come over a line where others can write are nobody's keys."""
    with suppress(ValueError):  # urlsplit's, of an address that is none
        parts = urlsplit(url)
        if parts.hostname and (parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts.hostname))):
            return url
    raise SettingsError(f"OIDC_ISSUERS: needed an https:// address (http:// only on this machine), got {url!r}")


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
