"""The headers of a request, looked up by name at once: starlette's own go through all of them each time."""

from collections.abc import Iterable
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope


class RequestHeaders(Headers):
    """Of several with one name the first counts, as everywhere in starlette."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        given: Iterable[tuple[bytes, bytes]] = reversed(self.raw)
        self._first = dict(given)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a header."""
        found = self._first.get(key.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")
