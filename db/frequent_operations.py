"""What is asked most, kept for warming: a bounded number of operations whose weight halves every day."""

from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import text

from db.connection import Query, ReadConnection, WriteConnection
from domain.ids import UserId

MOST_KEPT: Final = 200

_NOW = "weight * exp(-ln(2) * extract(epoch FROM now() - seen_at) / 86400)"
_ADD = Query(
    "frequent_operations_add",
    text(f"""
    INSERT INTO frequent_operation AS f (digest, query, operation_name, variables, media_type, user_id, weight)
    SELECT * FROM unnest(CAST(:digests AS bytea[]), CAST(:queries AS text[]), CAST(:names AS text[]),
      CAST(:variables AS text[]), CAST(:media_types AS text[]), CAST(:user_ids AS bigint[]), CAST(:weights AS float8[]))
      AS n (digest, query, operation_name, variables, media_type, user_id, weight)
    WHERE user_id IN (SELECT id FROM app_user) ORDER BY digest
    ON CONFLICT (digest) DO UPDATE SET weight = {_NOW.replace("weight", "f.weight").replace("seen_at", "f.seen_at")}
      + excluded.weight, seen_at = now(), user_id = excluded.user_id"""),  # no value is put into it
)
_FORGET = Query(
    "frequent_operations_forget",
    text(f"""
    DELETE FROM frequent_operation WHERE digest IN (
      SELECT digest FROM frequent_operation ORDER BY {_NOW} DESC, digest OFFSET CAST(:most AS int))"""),
)
_LIST = Query(
    "frequent_operations",
    text(f"""
    SELECT digest, query, operation_name, variables, media_type, user_id, {_NOW} FROM frequent_operation
    ORDER BY {_NOW} DESC, digest LIMIT CAST(:most AS int)"""),
)


class FrequentOperation(msgspec.Struct, frozen=True, array_like=True):
    """A query with its variables as JSON, and one of the viewers who share its answer."""

    digest: bytes
    query: str
    operation_name: str | None
    variables: str
    media_type: str
    user_id: UserId
    weight: float


async def add(connection: WriteConnection, operations: Sequence[FrequentOperation]) -> None:
    """Add to the weights of operations, and forget those that weigh least."""
    await connection.execute(
        _ADD,
        digests=[found.digest for found in operations],
        queries=[found.query for found in operations],
        names=[found.operation_name for found in operations],
        variables=[found.variables for found in operations],
        media_types=[found.media_type for found in operations],
        user_ids=[found.user_id for found in operations],
        weights=[found.weight for found in operations],
    )
    await connection.execute(_FORGET, most=MOST_KEPT)


async def frequent(connection: ReadConnection, most: int) -> list[FrequentOperation]:
    """The operations that are asked most."""
    return await connection.all(_LIST, FrequentOperation, most=most)
