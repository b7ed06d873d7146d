"""Queries that were asked before, byte for byte: reading, checking and pricing them is done once and remembered.

Only what follows from these bytes alone is remembered. Who asks, with which token, and what may be answered is looked
at each time.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

import msgspec
from graphql import OperationType

from web.documents import DocumentCache
from web.execution import PreparedOperation
from web.graphql_request import GraphQLRequest

MOST_BYTES: Final = 16_000_000
LARGEST_SHARE: Final = 256
"""A request of more than this fraction of the memory is not remembered."""
OVERHEAD_BYTES: Final = 1_500  # of an entry beside what grows with its bytes
BYTES_PER_BYTE: Final = 6  # the bytes, their text, and variables as objects


class Bytes(NamedTuple):
    """All that reading a request depends on: from a body or from a query string, for which form of answer."""

    is_body: bool
    media_type: str
    raw: bytes

    @property
    def size_bytes(self) -> int:
        """What it takes to remember this, roughly."""
        return len(self.raw) * BYTES_PER_BYTE + OVERHEAD_BYTES


class _Known(msgspec.Struct, frozen=True):
    """A prepared operation without its document, whose memory the cache of documents bounds."""

    request: GraphQLRequest
    cost: int
    key: bytes


class RecognisedRequests:
    """The least recently asked leave when the bound is passed."""

    def __init__(self, documents: DocumentCache, most_bytes: int = MOST_BYTES) -> None:
        self._documents = documents
        self._most_bytes = most_bytes
        self._known: OrderedDict[Bytes, _Known] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, asked: Bytes) -> PreparedOperation | None:
        """What these bytes came to the last time."""
        known = self._known.get(asked)
        if known is None:
            return None
        self._known.move_to_end(asked)
        document = self._documents.get(known.request.query)
        operation = document.operation(known.request.operation_name)
        return PreparedOperation(document, operation, known.request, known.cost, known.key)

    def keep(self, asked: Bytes, prepared: PreparedOperation) -> None:
        """Remember a query."""
        is_large = asked.size_bytes > self._most_bytes // LARGEST_SHARE
        if is_large or prepared.operation.kind is not OperationType.QUERY or asked in self._known:
            return
        self._known[asked] = _Known(prepared.request, prepared.cost, prepared.key)
        self.bytes += asked.size_bytes
        while self.bytes > self._most_bytes:
            oldest, _ = self._known.popitem(last=False)
            self.bytes -= oldest.size_bytes
