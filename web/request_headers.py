"""The headers of a request, looked up by name at once: starlette's own go through all of them each time."""

from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

KEY = "rollcall.headers"


class RequestHeaders(Headers):
    """Of several with one name the first counts, as everywhere in starlette."""

    def __init__(self, scope: Scope) -> None:
        self._list: list[tuple[bytes, bytes]] = scope["headers"]
        given: Iterable[tuple[bytes, bytes]] = reversed(self._list)
        self.first = dict(given)
        """The first of each name, in lower case as ASGI has it."""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a header."""
        found = self.first.get(key.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")


def headers_of(scope: Scope) -> RequestHeaders:
    """The headers of a scope, gone through once for all layers."""
    found: RequestHeaders | None = scope.get(KEY)
    if found is None:
        found = scope[KEY] = RequestHeaders(scope)
    return found
