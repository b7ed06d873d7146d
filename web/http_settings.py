"""What the HTTP side can be told: limits of a request, who may call from where, how people sign in.

web/settings.py nests these parts among all others.
"""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import SecretStr, model_validator
from pydantic_settings import NoDecode

from web.environment import CommaSeparated, Duration, Part, setting

ORIGINS = CommaSeparated(r"\*|https?://[^/\s]+", "* or comma-separated origins like https://app.example.org")
HOSTS = CommaSeparated(r"\*|(\*\.)?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]", "comma-separated host names without ports")
NETWORKS = CommaSeparated(
    r"[0-9A-Fa-f:.]+(/\d+)?", "comma-separated addresses or networks like 10.0.0.7,192.168.0.0/16,fd00::/8", ip_network
)
OIDC = CommaSeparated(
    r"https?://[^|\s]+\|[^|\s]+", "comma-separated issuer|audience pairs like https://login.example.org|rollcall"
)


class OidcIssuer(NamedTuple):
    """A foreign issuer whose tokens are believed when they are meant for `audience`."""

    issuer: str
    audience: str


class HttpSettings(Part):
    """How requests are answered and from where they may come."""

    request_timeout: Annotated[timedelta, Duration("s", 0.05, 3600)] = setting(
        timedelta(seconds=30),
        "REQUEST_TIMEOUT",
        "A request that takes longer is cancelled, with its SQL, and answered REQUEST_TIMEOUT.",
    )
    introspection: bool = setting(
        True,
        "GRAPHQL_INTROSPECTION",
        "Development mode of the API: clients may ask for the schema (GraphiQL does) and errors suggest names.",
    )
    graphiql: bool = setting(True, "GRAPHIQL", "Serve the GraphiQL page at /graphiql.")
    cors_origins: Annotated[tuple[str, ...], NoDecode, ORIGINS] = setting(
        (), "CORS_ORIGINS", "Origins whose pages may call the API, comma-separated, or * for any; none by default."
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, HOSTS] = setting(
        (),
        "ALLOWED_HOSTS",
        "Host names under which the service may be called (*.example.org and * work); by default only local names"
        " when it listens on a loopback address, any name otherwise.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, NETWORKS] = setting(
        (),
        "TRUSTED_PROXIES",
        "Addresses and networks of the proxies whose X-Forwarded-For, X-Forwarded-Proto and Forwarded are believed;"
        " none by default: then all clients behind a proxy count as one where failed sign-ins are counted.",
    )

    @property
    def trusted_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of TRUSTED_PROXIES."""
        return tuple(ip_network(text) for text in self.trusted_proxies)


class TlsSettings(Part):
    """TLS and HTTP/2 on the service's port; without a certificate it speaks unencrypted HTTP."""

    certificate_file: Path | None = setting(
        None, "TLS_CERT_FILE", "Certificate in PEM, then those of its issuers; read again at each reload."
    )
    key_file: Path | None = setting(None, "TLS_KEY_FILE", "Its private key in PEM, without a passphrase.")
    http2: bool = setting(
        True,
        "HTTP2",
        "Speak HTTP/2 with those who choose it (TLS: ALPN) or begin with it (without TLS). Off: HTTP/1.1 alone.",
    )

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            absent, given = (
                ("TLS_KEY_FILE", "TLS_CERT_FILE") if self.certificate_file else ("TLS_CERT_FILE", "TLS_KEY_FILE")
            )
            raise ValueError(f"{absent}: needed with {given}, got none")
        return self


class LimitSettings(Part):
    """What one request may ask for; see docs/errors/QUERY_TOO_COMPLEX.md."""

    body_bytes: int = setting(1_000_000, "LIMIT_BODY_BYTES", "Largest request body.", ge=1_000, unit="B")
    tokens: int = setting(2_000, "LIMIT_TOKENS", "Most tokens of a GraphQL document.", ge=10)
    depth: int = setting(20, "LIMIT_DEPTH", "Deepest nesting of fields, fragments expanded.", ge=1, le=100)
    aliases: int = setting(100, "LIMIT_ALIASES", "Most aliases of an operation, fragments expanded.", ge=0)
    directives: int = setting(100, "LIMIT_DIRECTIVES", "Most directives of an operation, fragments expanded.", ge=0)
    duplicates: int = setting(
        50, "LIMIT_DUPLICATES", "Most repetitions of a field within one selection, summed over the operation.", ge=0
    )
    root_fields: int = setting(50, "LIMIT_ROOT_FIELDS", "Most fields of an operation's root.", ge=1)
    cost: int = setting(
        50_000, "LIMIT_COST", "Highest cost of an operation: objects that it can return, plus the weights.", ge=1
    )
    list_size: int = setting(10, "LIMIT_LIST_SIZE", "Length that the cost assumes for a list without `first`.", ge=1)
    subscriptions: int = setting(
        1_000, "LIMIT_SUBSCRIPTIONS", "Most subscriptions that a worker serves at once; further ones get 503.", ge=0
    )
    user_subscriptions: int = setting(
        100,
        "LIMIT_USER_SUBSCRIPTIONS",
        "Most subscriptions of one user at once at a worker; further ones get 429.",
        ge=1,
    )
    sockets: int = setting(
        2_000, "LIMIT_SOCKETS", "Most WebSockets that a worker keeps open at once; further ones get 503.", ge=0
    )
    socket_idle: Annotated[timedelta, Duration("s", 1, 86_400)] = setting(
        timedelta(minutes=5), "SOCKET_IDLE_TIMEOUT", "A WebSocket on which nothing runs for so long is closed."
    )
    socket_operations: int = setting(20, "LIMIT_SOCKET_OPERATIONS", "Most operations at once of one WebSocket.", ge=1)
    document_cache_bytes: int = setting(
        16_000_000,
        "DOCUMENT_CACHE_BYTES",
        "Memory of a worker for parsed and validated documents, roughly.",
        ge=0,
        unit="B",
    )


class AuthSettings(Part):
    """How people sign in and which tokens are believed."""

    private_key: SecretStr | None = setting(
        None, "AUTH_PRIVATE_KEY", "Ed25519 private key that signs access tokens: PEM, JWK or JWK set (first one signs)."
    )
    private_key_file: Path | None = setting(
        None,
        "AUTH_PRIVATE_KEY_FILE",
        "File with that key; without either, the private servers generate DATA_DIR/auth.key.",
    )
    issuer: str = setting("rollcall", "AUTH_ISSUER", "The `iss` of our tokens.", min_length=1)
    audience: str = setting("rollcall-api", "AUTH_AUDIENCE", "The `aud` of our tokens.", min_length=1)
    access_ttl: Annotated[timedelta, Duration("s", 10, 86_400)] = setting(
        timedelta(minutes=15), "AUTH_ACCESS_TTL", "Life of an access token."
    )
    refresh_ttl: Annotated[timedelta, Duration("s", 60, 31_536_000)] = setting(
        timedelta(days=14), "AUTH_REFRESH_TTL", "Life of a refresh token."
    )
    oidc_pairs: Annotated[tuple[str, ...], NoDecode, OIDC] = setting(
        (), "OIDC_ISSUERS", "Other issuers whose tokens are believed, each with the audience that they must name."
    )
    sign_in_attempts: int = setting(
        5, "AUTH_ATTEMPTS", "Failed sign-ins of one account from one address before it has to wait.", ge=1
    )
    sign_in_window: Annotated[timedelta, Duration("s", 1, 86_400)] = setting(
        timedelta(minutes=5), "AUTH_ATTEMPTS_WINDOW", "Window in which failed sign-ins are counted."
    )

    @property
    def oidc_issuers(self) -> tuple[OidcIssuer, ...]:
        """The pairs of OIDC_ISSUERS."""
        return tuple(OidcIssuer(*pair.split("|")) for pair in self.oidc_pairs)

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.private_key and self.private_key_file:
            raise ValueError("AUTH_PRIVATE_KEY_FILE: needed only one of it and AUTH_PRIVATE_KEY, got both")
        return self
