"""Foreign issuers: whose tokens count, when their keys are asked for, and a whole sign-in at a mock provider."""

import asyncio
import importlib
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from domain.errors import Unauthenticated, Unavailable
from tests.web.auth.conftest import KEY, NOW, Clock, CompanyAccounts
from tests.web.auth.key_server import KeyServer, key_server
from web.auth import Authenticator
from web.environment import SettingsError
from web.oidc import ForeignIdentity, Issuer, OidcIssuers
from web.tokens import Tokens

RSA = RSAKey.generate_key(2048, auto_kid=True)
EC = ECKey.generate_key("P-256", auto_kid=True)
ED = OKPKey.generate_key("Ed25519", auto_kid=True)
EXP = {"exp": int(NOW.timestamp()) + 300}
DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as server:
        server.publish(RSA, EC, ED)
        yield server


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient() as http:
        yield http


@pytest.fixture
def issuers(server: KeyServer, http: httpx2.AsyncClient) -> OidcIssuers:
    return OidcIssuers([Issuer(server.url, "rollcall")], http)


async def fault(issuers: OidcIssuers, token: str, now: datetime = NOW) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await issuers.identify(token, now)
    return caught.value.message


@pytest.mark.parametrize(("key", "alg"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")])
async def test_the_usual_algorithms_are_verified(issuers: OidcIssuers, server: KeyServer, key: Key, alg: str) -> None:
    claims = {**EXP, "aud": ["other", "rollcall"], "email": "ada@rollcall.test", "email_verified": True}
    identity = await issuers.identify(server.token(key, alg, claims, x_unknown=1), NOW)
    assert identity == ForeignIdentity(server.url, "ada-1", "ada@rollcall.test", True)
    assert server.asked == {DISCOVERY: 1, "/keys": 1}


@pytest.mark.parametrize("verified", [None, False, "true", 1])
async def test_only_a_plain_true_verifies_an_email(issuers: OidcIssuers, server: KeyServer, verified: object) -> None:
    token = server.token(RSA, "RS256", {**EXP, "email": "ada@rollcall.test", "email_verified": verified})
    assert await issuers.identify(token, NOW) == ForeignIdentity(server.url, "ada-1", "ada@rollcall.test", False)


async def test_tokens_of_nobody_we_know_are_left_to_others(issuers: OidcIssuers, server: KeyServer) -> None:
    ours = Tokens(KEY).issue(7, 3, NOW).access_token
    stranger = server.token(RSA, "RS256", {**EXP, "iss": "https://stranger.test"})
    nameless = server.token(RSA, "RS256", {**EXP, "iss": 5})
    assert [await issuers.identify(token, NOW) for token in (ours, stranger, nameless)] == [None, None, None]
    assert server.asked == {}


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"aud": "payroll"}, "aud of the token is 'payroll', needed 'rollcall'"),
        ({"aud": ["payroll"]}, "aud of the token is ['payroll'], needed 'rollcall'"),
        ({"aud": None}, "the token lacks aud"),
        ({"sub": None}, "the token lacks sub"),
        ({"sub": 5}, "sub of the token is wrong: 5"),
        ({"exp": None}, "the token lacks exp"),
        ({"exp": EXP["exp"] - 330}, "the token has expired; refresh it, or sign in again"),
        ({"nbf": EXP["exp"]}, f"nbf of the token is wrong: {EXP['exp']}"),
    ],
)
async def test_claims_are_held_to_the_rules(
    issuers: OidcIssuers, server: KeyServer, claims: dict[str, Any], message: str
) -> None:
    assert await fault(issuers, server.token(RSA, "RS256", {**EXP, **claims})) == message


async def test_the_key_has_to_fit_the_algorithm(issuers: OidcIssuers, server: KeyServer) -> None:
    thief = RSAKey.generate_key(2048, {"kid": str(RSA.kid)})
    shared = OctKey.generate_key(256, {"kid": str(RSA.kid)})
    wrong = "the signature of the token is wrong"
    assert await fault(issuers, server.token(thief, "RS256", EXP)) == wrong
    assert await fault(issuers, server.token(ED, "EdDSA", EXP, kid=RSA.kid)) == wrong
    assert await fault(issuers, server.token(shared, "HS256", EXP)) == (
        "the token is signed with 'HS256', needed RS256 or ES256 or EdDSA or Ed25519"
    )


async def test_unknown_keys_are_asked_for_once_a_minute(issuers: OidcIssuers, server: KeyServer) -> None:
    server.publish(RSA)
    rotated = server.token(EC, "ES256", EXP)
    unknown = f"the token is signed with an unknown key, '{EC.kid}'; sign in again"
    assert await issuers.identify(server.token(RSA, "RS256", EXP), NOW)
    server.publish(RSA, EC)
    assert await fault(issuers, rotated, NOW + timedelta(seconds=59)) == unknown
    assert server.asked["/keys"] == 1
    assert await issuers.identify(rotated, NOW + timedelta(seconds=60))
    assert server.asked["/keys"] == 2
    foreign = server.token(ED, "EdDSA", EXP)
    for seconds in (61, 119, 120, 121):
        await fault(issuers, foreign, NOW + timedelta(seconds=seconds))
    assert server.asked == {DISCOVERY: 3, "/keys": 3}


async def test_keys_are_asked_for_anew_each_hour_and_kept_through_an_outage(
    issuers: OidcIssuers, server: KeyServer
) -> None:
    token = server.token(RSA, "RS256", {"exp": EXP["exp"] + 90_000})
    for minutes in (0, 59):
        assert await issuers.identify(token, NOW + timedelta(minutes=minutes))
    assert server.asked["/keys"] == 1
    server.status = 503
    assert await issuers.identify(token, NOW + timedelta(minutes=60))
    server.status = 200
    server.publish(EC)
    assert await issuers.identify(token, NOW + timedelta(minutes=60, seconds=59))
    assert await fault(issuers, token, NOW + timedelta(minutes=61)) == (
        f"the token is signed with an unknown key, '{RSA.kid}'; sign in again"
    )
    assert server.asked == {DISCOVERY: 3, "/keys": 2}


async def test_a_crowd_asks_once(issuers: OidcIssuers, server: KeyServer) -> None:
    token = server.token(RSA, "RS256", EXP)
    found = await asyncio.gather(*(issuers.identify(token, NOW) for _ in range(10)))
    assert found == [ForeignIdentity(server.url, "ada-1", None, False)] * 10
    assert server.asked == {DISCOVERY: 1, "/keys": 1}


async def test_an_issuer_that_is_down_is_unavailable(issuers: OidcIssuers, server: KeyServer) -> None:
    token = server.token(RSA, "RS256", EXP)
    for status in (503, 302):
        server.status = status
        with pytest.raises(Unavailable) as caught:
            await issuers.identify(token, NOW)
    assert caught.value.message == f"the sign-in provider {server.url} gives no keys at the moment"
    assert caught.value.retry_after_s == 60
    assert server.asked == {DISCOVERY: 1}


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": "https://stranger.test"},
        {"jwks_uri": "http://stranger.test/keys"},
        {"jwks_uri": "http://[broken"},
        {"jwks_uri": 5},
    ],
)
async def test_discovery_has_to_be_of_the_issuer_and_over_a_safe_line(
    issuers: OidcIssuers, server: KeyServer, changed: dict[str, Any]
) -> None:
    server.discovery |= changed
    with pytest.raises(Unavailable):
        await issuers.identify(server.token(RSA, "RS256", EXP), NOW)
    assert server.asked == {DISCOVERY: 1}


async def test_keys_that_nobody_understands_are_passed_over(issuers: OidcIssuers, server: KeyServer) -> None:
    odd = [
        {"kty": "AKP", "alg": "ML-DSA-44"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": "RSA", "n": "?"},
        {"kty": []},
        {},
    ]
    encryption = {**EC.as_dict(private=False), "use": "enc"}
    server.keys = [*odd, encryption, RSA.as_dict(private=False)]
    assert await issuers.identify(server.token(RSA, "RS256", EXP), NOW)
    await fault(issuers, server.token(EC, "ES256", EXP))


@pytest.mark.parametrize("url", ["http://id.example.com", "ftp://id.example.com", "id.example.com", "", "http://[x"])
async def test_an_issuer_needs_a_safe_address(http: httpx2.AsyncClient, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        OidcIssuers([Issuer(url, "rollcall")], http)
    assert caught.value.message == (
        f"OIDC_ISSUERS: needed an https:// address (http:// only on this machine), got {url!r}"
    )


async def test_the_authenticator_trusts_verified_emails_only(
    issuers: OidcIssuers, server: KeyServer, accounts: CompanyAccounts, clock: Clock
) -> None:
    authenticator = Authenticator(Tokens(KEY), accounts, issuers=issuers, clock=clock)
    ada = {**EXP, "email": "ada@rollcall.test"}
    verified = server.token(RSA, "RS256", {**ada, "email_verified": True})
    unverified = server.token(RSA, "RS256", ada)
    assert await authenticator.authenticate(f"Bearer {verified}") == accounts.account_by_id[7]
    with pytest.raises(Unauthenticated) as caught:
        await authenticator.authenticate(f"Bearer {unverified}")
    assert caught.value.message == f"no user here is tied to this account of {server.url}; ask an administrator"
    assert accounts.asked_subjects == [(server.url, "ada-1", "ada@rollcall.test"), (server.url, "ada-1", None)]
    ours = Tokens(KEY).issue(7, 3, NOW).access_token
    assert await authenticator.authenticate(f"Bearer {ours}") == accounts.account_by_id[7]
    accounts.change(7, is_active=False)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(f"Bearer {verified}")


@pytest.fixture
def provider() -> Iterator[str]:
    with warnings.catch_warnings(record=True):  # the provider uses a part of authlib that authlib has deprecated
        mock = importlib.import_module("oidc_provider_mock")
    ada = mock.User(sub="ada-1", claims={"email": "ada@rollcall.test", "email_verified": True})
    with mock.run_server_in_thread(user_claims=[ada]) as server:
        yield f"http://localhost:{server.server_port}"


async def sign_in_at(provider: str, http: httpx2.AsyncClient) -> str:
    """The id token that an authorization code flow ends with."""
    back = "http://localhost/back"
    asked = {"client_id": "rollcall", "redirect_uri": back, "response_type": "code", "scope": "openid email"}
    agreed = await http.post(f"{provider}/oauth2/authorize", params=asked, data={"sub": "ada-1"})
    [code] = parse_qs(urlsplit(agreed.headers["location"]).query)["code"]
    grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
    answer = await http.post(f"{provider}/oauth2/token", data=grant, auth=("rollcall", "secret"))
    id_token: str = answer.json()["id_token"]
    return id_token


@pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")  # the provider calls authlib so
async def test_a_sign_in_at_a_provider_opens_the_account(
    provider: str, http: httpx2.AsyncClient, accounts: CompanyAccounts
) -> None:
    token = await sign_in_at(provider, http)
    issuers = OidcIssuers([Issuer(provider, "rollcall")], http)
    assert await issuers.identify(token, datetime.now(UTC)) == ForeignIdentity(
        provider, "ada-1", "ada@rollcall.test", True
    )
    authenticator = Authenticator(Tokens(KEY), accounts, issuers=issuers)
    assert await authenticator.authenticate(f"Bearer {token}") == accounts.account_by_id[7]
    other = OidcIssuers([Issuer(provider, "payroll")], http)
    assert await fault(other, token, datetime.now(UTC)) == "aud of the token is ['rollcall'], needed 'payroll'"
