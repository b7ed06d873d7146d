"""Refuses requests for host names that are not ours: DNS rebinding would let any web page talk to a local service."""

from collections.abc import Sequence
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

from web.envelope import PROBES
from web.request_headers import headers_of
from web.responses import problem

LOCAL_NAMES = ("localhost", "*.localhost", "127.0.0.1", "[::1]")


class AllowedHosts:
    """Lets requests through whose Host header is in `hosts`; probes come by address and always pass."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._names = {host.lower() for host in hosts}
        self._suffixes = tuple(host[1:].lower() for host in hosts if host.startswith("*."))
        self._is_ours = lru_cache(maxsize=256)(self._find)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        given = headers_of(scope).first.get(b"host", b"")
        if self._is_ours(given):
            await self._app(scope, receive, send)
            return
        detail = (
            f"Host: {given[:100].decode('latin-1')!r} is not a name of this service; ALLOWED_HOSTS lists those that are"
        )
        await problem(421, "HOST_NOT_ALLOWED", detail)(scope, receive, send)

    def _find(self, host: bytes) -> bool:
        name = without_port(host.decode("latin-1")).lower()
        return name in self._names or name.endswith(self._suffixes)


def without_port(host: str) -> str:
    """The name of a Host header; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not name.endswith(":") else host
