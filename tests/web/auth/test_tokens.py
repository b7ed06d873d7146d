"""Tokens: what stands in them, when they stop being good, and that nothing else passes for one."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from domain.errors import Unauthenticated
from tests.web.auth.conftest import KEY, NOW
from web.tokens import EDDSA, TokenClaims, Tokens

NOW_S = 1_773_734_400
MALFORMED = "the token is malformed: needed a signed JSON Web Token of three dot-separated parts"
WRONG_SIGNATURE = "the signature of the token is wrong"
ISSUED = Tokens(KEY).issue(7, 3, NOW).access_token
CLAIMS: dict[str, Any] = {
    "iss": "rollcall",
    "aud": "rollcall",
    "sub": "7",
    "epoch": 3,
    "use": "access",
    "iat": NOW_S,
    "exp": NOW_S + 900,
    "jti": "one",
}


def decoded(token: str, part: int) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(urlsafe_b64decode(token.split(".")[part].encode()))
    return decoded


def signed(claims: dict[str, Any], **header: object) -> str:
    return jws.serialize_compact({"alg": "EdDSA", "kid": KEY.kid, **header}, json.dumps(claims), KEY, registry=EDDSA)


def fault(verify: Callable[[], object]) -> str:
    with pytest.raises(Unauthenticated) as caught:
        verify()
    return caught.value.message


def test_a_pair_says_who_for_how_long_and_for_what(tokens: Tokens) -> None:
    pair = tokens.issue(7, 3, NOW)
    access, refresh = decoded(pair.access_token, 1), decoded(pair.refresh_token, 1)
    ids = access.pop("jti"), refresh.pop("jti")
    common = {"iss": "rollcall", "aud": "rollcall", "sub": "7", "epoch": 3, "iat": NOW_S}
    assert access == {**common, "use": "access", "exp": NOW_S + 900}
    assert refresh == {**common, "use": "refresh", "exp": NOW_S + 14 * 86_400}
    assert pair.expires_in_s == 900
    assert len(set(ids)) == 2
    assert decoded(pair.access_token, 0) == {
        "typ": "JWT",
        "alg": "EdDSA",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",  # the thumbprint in RFC 8037, appendix A.3
    }
    assert tokens.verify_access(pair.access_token, NOW) == TokenClaims(7, 3, ids[0], NOW_S + 900)
    assert tokens.verify_refresh(pair.refresh_token, NOW) == TokenClaims(7, 3, ids[1], NOW_S + 14 * 86_400)


def test_a_token_lives_until_its_end_and_the_leeway(tokens: Tokens) -> None:
    pair = tokens.issue(7, 3, NOW)
    last_second = NOW + timedelta(minutes=15, seconds=29)
    expired = "the token has expired; refresh it, or sign in again"
    assert tokens.verify_access(pair.access_token, last_second).user_id == 7
    assert fault(lambda: tokens.verify_access(pair.access_token, last_second + timedelta(seconds=1))) == expired
    assert tokens.verify_access(pair.access_token, last_second).user_id == 7
    assert fault(lambda: tokens.verify_refresh(pair.refresh_token, NOW + timedelta(days=15))) == expired
    assert fault(lambda: Tokens(KEY).verify_access(pair.access_token, NOW - timedelta(seconds=31))) == (
        f"iat of the token is wrong: {NOW_S}"
    )


def test_each_use_has_its_own_token(tokens: Tokens) -> None:
    pair = tokens.issue(7, 3, NOW)
    assert fault(lambda: tokens.verify_access(pair.refresh_token, NOW)) == (
        "use of the token is 'refresh', needed 'access'"
    )
    assert fault(lambda: tokens.verify_refresh(pair.access_token, NOW)) == (
        "use of the token is 'access', needed 'refresh'"
    )


def test_tokens_of_others_are_refused(tokens: Tokens) -> None:
    other_key = Tokens(OKPKey.generate_key("Ed25519", auto_kid=True)).issue(7, 3, NOW).access_token
    kid = decoded(other_key, 0)["kid"]
    elsewhere = Tokens(KEY, audience="payroll").issue(7, 3, NOW).access_token
    stranger = Tokens(KEY, issuer="https://stranger.test").issue(7, 3, NOW).access_token
    assert fault(lambda: tokens.verify_access(other_key, NOW)) == (
        f"the token is signed with an unknown key, '{kid}'; sign in again"
    )
    assert fault(lambda: tokens.verify_access(elsewhere, NOW)) == "aud of the token is 'payroll', needed 'rollcall'"
    assert fault(lambda: tokens.verify_access(stranger, NOW)) == (
        "iss of the token is 'https://stranger.test', needed 'rollcall'"
    )


def test_a_key_that_borrows_our_key_id_signs_nothing(tokens: Tokens) -> None:
    thief = OKPKey.generate_key("Ed25519")
    token = jws.serialize_compact({"alg": "EdDSA", "kid": KEY.kid}, json.dumps(CLAIMS), thief, registry=EDDSA)
    assert fault(lambda: tokens.verify_access(token, NOW)) == WRONG_SIGNATURE


def test_the_algorithm_is_pinned(tokens: Tokens) -> None:
    public = OctKey.import_key(urlsafe_b64decode(b"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"))
    hs256 = jws.serialize_compact({"alg": "HS256", "kid": KEY.kid}, json.dumps(CLAIMS), public)
    unsigned = ISSUED.split(".")
    unsigned[0] = urlsafe_b64encode(json.dumps({"alg": "none", "kid": KEY.kid}).encode()).decode()
    assert fault(lambda: tokens.verify_access(hs256, NOW)) == "the token is signed with 'HS256', needed EdDSA"
    assert fault(lambda: tokens.verify_access(".".join([*unsigned[:2], ""]), NOW)) == (
        "the token is signed with 'none', needed EdDSA"
    )


@pytest.mark.parametrize("claim", sorted(CLAIMS))
def test_every_claim_is_needed(tokens: Tokens, claim: str) -> None:
    assert tokens.verify_access(signed(CLAIMS), NOW) == TokenClaims(7, 3, "one", NOW_S + 900)
    lacking = signed({name: value for name, value in CLAIMS.items() if name != claim})
    assert fault(lambda: tokens.verify_access(lacking, NOW)) == f"the token lacks {claim}"


def test_claims_of_another_shape_are_malformed(tokens: Tokens) -> None:
    assert fault(lambda: tokens.verify_access(signed({**CLAIMS, "sub": "ada"}), NOW)) == MALFORMED
    assert fault(lambda: tokens.verify_access(signed({**CLAIMS, "epoch": [1]}), NOW)) == MALFORMED
    assert fault(lambda: tokens.verify_access(signed({**CLAIMS, "exp": "later"}), NOW)) == (
        "exp of the token is wrong: 'later'"
    )


@pytest.mark.parametrize(
    "token",
    ["", "x", "..", "a.b.c", "é.é.é", "\ud800", "e30.e30.", "bnVsbA.e30.AA", "W10.e30.AA", ISSUED + "=", ISSUED[:-1]],
)
def test_what_is_no_token_is_malformed(tokens: Tokens, token: str) -> None:
    assert fault(lambda: tokens.verify_access(token, NOW)) in {MALFORMED, WRONG_SIGNATURE}


def test_endless_tokens_are_not_read(tokens: Tokens) -> None:
    message = "the token is too long: at most 8,192 bytes are read"
    assert fault(lambda: tokens.verify_access(ISSUED + "A" * 8000, NOW)) == message


@given(st.integers(0, len(ISSUED) - 1), st.integers(1, 127))
def test_no_flipped_byte_verifies(position: int, flip: int) -> None:
    raw = bytearray(ISSUED.encode())
    raw[position] ^= flip
    tokens = Tokens(KEY)
    assert tokens.verify_access(ISSUED, NOW).user_id == 7
    with pytest.raises(Unauthenticated):
        tokens.verify_access(raw.decode("latin-1"), NOW)


def test_every_single_bit_counts(tokens: Tokens) -> None:
    for position in range(len(ISSUED)):
        for bit in range(7):
            raw = bytearray(ISSUED.encode())
            raw[position] ^= 1 << bit
            with pytest.raises(Unauthenticated):
                tokens.verify_access(raw.decode(), NOW)


TEXT = st.text("a1.é\x00", max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk", "x5c", "x"]), JSON | st.just("EdDSA"))
)
def test_no_header_whatever_is_a_crash(header: dict[str, Any]) -> None:
    parts = [urlsafe_b64encode(json.dumps(header).encode()).decode(), *ISSUED.split(".")[1:]]
    with pytest.raises(Unauthenticated):
        Tokens(KEY).verify_access(".".join(parts), NOW)


@given(st.dictionaries(st.sampled_from([*CLAIMS, "nbf", "x"]), JSON))
def test_no_signed_claims_whatever_are_a_crash(changed: dict[str, Any]) -> None:
    with suppress(Unauthenticated):
        Tokens(KEY).verify_access(signed({**CLAIMS, **changed}), NOW)


def test_a_verified_token_is_remembered_and_the_least_used_is_forgotten() -> None:
    tokens = Tokens(KEY, most_remembered=2)
    first, second, third = (tokens.issue(user_id, 0, NOW).access_token for user_id in (1, 2, 3))
    remembered = tokens.verify_access(first, NOW)
    tokens.verify_access(second, NOW)
    assert tokens.verify_access(first, NOW) is remembered
    tokens.verify_access(third, NOW)
    assert tokens.verify_access(first, NOW) is remembered
    assert list(tokens._claims_by_token) == [third, first]


def test_the_published_key_is_the_public_one(tokens: Tokens) -> None:
    assert tokens.jwks() == {
        "keys": [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "use": "sig",
                "alg": "EdDSA",
            }
        ]
    }
