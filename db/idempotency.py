"""What retries are answered from: the outcome of the first request, stored in its transaction."""

from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, WriteConnection
from db.rows import Row
from domain.ids import UserId

MOST_KEY_LENGTH: Final = 200

_LOCK = Query("idempotency_lock", text("SELECT pg_advisory_xact_lock(7397, hashtext(:user || ':' || :key))"))
_FIND = Query(
    "idempotency_find",
    text("""
    SELECT mutation, request_hash, outcome, answer_shape, answer FROM idempotency_key
    WHERE user_id = CAST(:user_id AS bigint) AND key = :key"""),
)
_STORE = Query(
    "idempotency_store",
    text("""
    INSERT INTO idempotency_key (user_id, key, mutation, request_hash, outcome, answer_shape, answer)
    VALUES (CAST(:user_id AS bigint), :key, :mutation, :request_hash, :outcome, :answer_shape, :answer)"""),
)


class StoredOutcome(Row, frozen=True, array_like=True):
    """Which request used a key first, and what came of it: the keys of the rows, and the rows as they were shown."""

    mutation: str
    request_hash: bytes
    outcome: bytes
    answer_shape: str | None
    answer: bytes | None


async def first_outcome(connection: WriteConnection, user_id: UserId, key: str) -> StoredOutcome | None:
    """The outcome under a key; whoever comes with it at the same time waits here for the first one's end."""
    await connection.records(_LOCK, user=str(user_id), key=key)
    return await connection.first(_FIND, StoredOutcome, user_id=user_id, key=key)


async def store_outcome(connection: WriteConnection, user_id: UserId, key: str, outcome: StoredOutcome) -> None:
    """Keep what a key came to."""
    await connection.execute(_STORE, user_id=user_id, key=key, **msgspec.structs.asdict(outcome))
