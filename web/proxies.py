"""Who is behind a proxy: X-Forwarded-For, X-Forwarded-Proto, Forwarded (RFC 7239), from TRUSTED_PROXIES alone.

From anybody else these headers mean nothing, except that the client cannot count as one on this machine.
"""

import re
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

MOST_PROXIES: Final = 20
SIGNS_OF_A_PROXY: Final = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"),
    *("x-forwarded-server", "x-original-forwarded-for", "x-real-ip"),
)
_BEHIND: Final = "rollcall.behind_trusted_proxy"
# blind to quotes around several pairs: what a client left open must not swallow what the proxy added after it
_PAIR: Final = re.compile(r'(?:^|[;,])\s*(for|proto)=("[^"]*"|[^;,\s]*)', re.IGNORECASE)
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")


class TrustedProxies:
    """Puts the client and the scheme that a trusted proxy names into the scope, for every layer within."""

    def __init__(self, app: ASGIApp, networks: Networks) -> None:
        self._app = app
        self._networks = networks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] in ("http", "websocket") and self._trusts(_address((scope.get("client") or ("",))[0])):
            self._believe(scope)
        await self._app(scope, receive, send)

    def _believe(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        pairs = [(name.lower(), value.strip('"')) for name, value in _PAIR.findall(_joined(headers, "forwarded"))]
        told = {
            client
            for chain in ([value for name, value in pairs if name == "for"], _listed(headers, "x-forwarded-for"))
            if (client := self._client(chain)) is not None
        }
        if len(told) != 1:  # none, or two headers that differ: one of them is the client's own
            return
        scope["client"] = (str(told.pop()), 0)
        scope[_BEHIND] = True
        schemes = [value for name, value in pairs if name == "proto"] + _listed(headers, "x-forwarded-proto")
        if schemes and schemes[-1].lower() in ("http", "https"):
            scope["scheme"] = schemes[-1].lower() if scope["type"] == "http" else _of_websocket(schemes[-1])

    def _client(self, chain: Sequence[str]) -> Address | None:
        """The last one that no trusted proxy is: each proxy adds at the end whom it got the request from."""
        found: Address | None = None
        for text in reversed(chain[-MOST_PROXIES:]):
            address = _address(text)
            if address is None:
                break
            found = address
            if not self._trusts(address):
                break
        return found

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


AdmitsKnownPasswords = Callable[[Scope], bool]


def from_this_machine(scope: Scope) -> bool:
    """Whether a request comes from this machine over a loopback address, and through no proxy but a trusted one.

    A proxy that adds no header at all looks like a client: it cannot be told from one.
    """
    names = Headers(scope=scope)
    through_a_stranger = not scope.get(_BEHIND) and any(name in names for name in SIGNS_OF_A_PROXY)
    ends = (scope.get("client"), scope.get("server"))
    return not through_a_stranger and all(end is not None and is_loopback(end[0]) for end in ends)


def from_nowhere(_: Scope) -> bool:
    """Never."""
    return False


def is_loopback(host: str) -> bool:
    """Whether an address or "localhost" means this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(text: str) -> Address | None:
    """An address, also one with a port; an IPv4 address within IPv6 is the former."""
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _listed(headers: Headers, name: str) -> list[str]:
    return [part.strip() for part in _joined(headers, name).split(",") if part.strip()]


def _joined(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name))


def _of_websocket(scheme: str) -> str:
    return "wss" if scheme.lower() == "https" else "ws"
