"""Remembers which queries are asked most and writes that down once a minute, so that a cold cache can be warmed.

What is kept is the query, its variables and one user of those who share the answer; no token, and nothing of who is not
signed in.
"""

import asyncio
import hashlib
import random
from datetime import timedelta
from typing import Final

import msgspec
import orjson
import structlog

from db.database import Database
from db.frequent_operations import FrequentOperation, add
from domain.errors import Unavailable
from domain.ids import UserId
from telemetry.counters import count
from web.graphql_request import GraphQLRequest

log = structlog.get_logger("rollcall.warming")

PAUSE: Final = timedelta(seconds=60)
ONE_IN: Final = 10
"""Of so many requests one is looked at, so that the others cost nothing."""
MOST: Final = 300
LONGEST_BYTES: Final = 16_384

_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode


class Popular:
    """The operations that one worker was asked lately."""

    def __init__(self, one_in: int = ONE_IN) -> None:
        self._one_in = one_in
        self._seen: dict[bytes, FrequentOperation] = {}

    def wants(self) -> bool:
        """Whether to look at this request."""
        return self._one_in == 1 or random.random() * self._one_in < 1  # noqa: S311

    def note(self, key: object, request: GraphQLRequest, name: str | None, media_type: str, user_id: int) -> None:
        """An answer was sent; `key` is the same for all viewers who share it."""
        digest = hashlib.blake2b(_encode(key), digest_size=16).digest()
        known = self._seen.get(digest)
        if known is None and len(self._seen) >= MOST:
            return
        variables = orjson.dumps(request.variables).decode()
        if "\0" in request.query or "\\u0000" in variables or len(request.query) + len(variables) > LONGEST_BYTES:
            return
        weight = float(self._one_in) + (known.weight if known else 0.0)
        self._seen[digest] = FrequentOperation(
            digest, request.query, name, variables, media_type, UserId(user_id), weight
        )

    def taken(self) -> list[FrequentOperation]:
        """What was seen since the last time."""
        found, self._seen = list(self._seen.values()), {}
        return found


async def record(database: Database, popular: Popular) -> int:
    """Write down what was asked since the last time; returns how many operations that were."""
    found = popular.taken()
    if found:
        async with database.transaction() as connection:
            await add(connection, found)
    return len(found)


async def record_for_ever(database: Database, popular: Popular) -> None:
    """Write down once a minute; what cannot be written is not missed."""
    while True:
        await asyncio.sleep(PAUSE.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311  # not all workers at once
        try:
            await record(database, popular)
        except Unavailable:
            count("warming", "unrecorded")
        except Exception:
            count("warming", "unrecorded")
            log.exception("what is asked most could not be written down")
