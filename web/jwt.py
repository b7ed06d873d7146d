"""Reading JSON Web Tokens with pinned algorithms and faults in plain words; whose they are is known elsewhere."""

from typing import Any

from joserfc import errors, jwt
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import KeySet
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact
from joserfc.jwt import JWTClaimsRegistry

from domain.errors import Unauthenticated

LONGEST_TOKEN_BYTES = 8192
MALFORMED = "the token is malformed: needed a signed JSON Web Token of three dot-separated parts"
# what a broken token makes joserfc and json raise besides JoseError, found by the tests that flip and shuffle bytes
BROKEN = (ValueError, TypeError, RecursionError)


class PinnedAlgorithms(JWSRegistry):
    """Allows the named algorithms only.

    joserfc would warn at every use of the name EdDSA, which RFC 9864 replaces by Ed25519 but most clients still expect.
    """

    def __init__(self, *names: str) -> None:
        super().__init__(algorithms=names, strict_check_header=False)
        self.names = names

    def get_alg(self, name: str) -> JWSAlgModel:
        """The algorithm, if it is one of ours."""
        if name not in self.names:
            raise errors.UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def unverified(token: str, algorithms: PinnedAlgorithms) -> CompactSignature:
    """The parts of a token whose signature nobody has looked at yet."""
    if len(token) > LONGEST_TOKEN_BYTES:
        raise Unauthenticated(f"the token is too long: at most {LONGEST_TOKEN_BYTES:,} bytes are read")
    try:
        return extract_compact(token.encode("ascii"), registry=algorithms)
    except (errors.JoseError, *BROKEN) as error:
        raise Unauthenticated(MALFORMED) from error


def verified_claims(token: str, keys: KeySet, algorithms: PinnedAlgorithms, rules: JWTClaimsRegistry) -> dict[str, Any]:
    """The claims of a token that one of the keys has signed and that keeps the rules."""
    header = unverified(token, algorithms).headers()
    try:
        claims = jwt.decode(token, keys, registry=algorithms).claims
    except (errors.JoseError, *BROKEN) as error:
        raise Unauthenticated(_signature_fault(error, header, algorithms)) from error
    try:
        rules.validate(claims)
    except errors.ClaimError as error:
        raise Unauthenticated(_claim_fault(error, claims, rules)) from error
    return claims


def _signature_fault(error: Exception, header: dict[str, Any], algorithms: PinnedAlgorithms) -> str:
    match error:
        case errors.UnsupportedAlgorithmError():
            return f"the token is signed with {shown(header.get('alg'))}, needed {' or '.join(algorithms.names)}"
        case errors.InvalidKeyIdError():
            return f"the token is signed with an unknown key, {shown(header.get('kid'))}; sign in again"
        case errors.BadSignatureError() | errors.KeyParameterError():
            return "the signature of the token is wrong"
    return MALFORMED


def _claim_fault(error: errors.ClaimError, claims: dict[str, Any], rules: JWTClaimsRegistry) -> str:
    match error:
        case errors.ExpiredTokenError():
            return "the token has expired; refresh it, or sign in again"
        case errors.MissingClaimError():
            return f"the token lacks {error.claim}"
    option = rules.options.get(error.claim, {})
    needed = option.get("value", option.get("values"))
    if needed is None:
        return f"{error.claim} of the token is wrong: {shown(claims[error.claim])}"
    return f"{error.claim} of the token is {shown(claims[error.claim])}, needed {shown(needed)}"


def shown(value: object) -> str:
    """A value out of a token, short enough to be repeated in a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
