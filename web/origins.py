"""Which pages may open a WebSocket: those that may read answers over HTTP, the service's own and CORS_ORIGINS.

Browsers ask nobody before they open one, and say by whom they were told to. Other clients name no origin.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from web.hosts import without_port

USUAL_PORTS = {"http": 80, "https": 443}


def may_open(origin: str | None, host: str, allowed: Collection[str]) -> bool:
    """Whether a page of this origin may; `host` is what the Host header says, which some proxies strip of its port."""
    if origin is None or "*" in allowed or origin in allowed:
        return True
    try:
        page = urlsplit(origin)
        port = page.port or USUAL_PORTS.get(page.scheme)
    except ValueError:
        return False
    if port is None or page.hostname is None:
        return False
    name = without_port(host).lower()
    given_port = host[len(name) + 1 :]
    is_own_name = page.hostname == name.strip("[]")
    return is_own_name and given_port in ("", str(port))
