"""Retries: a mutation with a key writes once and keeps its answer, which is what the key gets from then on.

The answer is kept as the rows that it showed, in the transaction that changed them. A refused attempt writes nothing,
not even its key: a retry tries again.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

import msgspec
import strawberry

from cache.policy import shape_hash
from db.connection import WriteConnection
from db.idempotency import MOST_KEY_LENGTH, StoredOutcome, first_outcome, store_outcome
from domain.errors import ErrorCode
from resolvers.changes import UserErrorValue, changed, invalid, problem
from resolvers.context import Context

Outcome = TypeVar("Outcome", bound=msgspec.Struct)
Answer = TypeVar("Answer", bound=msgspec.Struct)
_encode: Final = msgspec.msgpack.Encoder().encode


class Kept(Generic[Outcome, Answer]):
    """How the answers of a mutation are kept: `answer_type` holds the rows that were shown, `outcome_type` their keys.

    Rows are read by position, so an answer that another version of this code kept in another shape is looked up again
    by its keys.
    """

    def __init__(self, outcome_type: type[Outcome], answer_type: type[Answer]) -> None:
        self._outcome_type, self._answer_type = outcome_type, answer_type
        self._shape = shape_hash(answer_type)

    def stored(self, mutation: str, request_hash: bytes, outcome: Outcome, answer: Answer) -> StoredOutcome:
        """An answer with its keys, as it is stored."""
        return StoredOutcome(mutation, request_hash, _encode(outcome), self._shape, _encode(answer))

    async def again(self, stored: StoredOutcome, look_up: Callable[[Outcome], Awaitable[Answer]]) -> Answer:
        """The first answer."""
        if stored.answer is not None and stored.answer_shape == self._shape:
            return msgspec.msgpack.decode(stored.answer, type=self._answer_type)
        return await look_up(msgspec.msgpack.decode(stored.outcome, type=self._outcome_type))


class Request(msgspec.Struct, frozen=True):
    """A mutation with its input, and the key that makes its retries harmless; without one they are not."""

    mutation: str
    input: object
    key: str | None
    key_path: str = "input.idempotencyKey"


async def changed_once(
    context: Context,
    request: Request,
    kept: Kept[Outcome, Answer],
    work: Callable[[WriteConnection], Awaitable[tuple[Outcome, Answer]]],
    look_up: Callable[[Outcome], Awaitable[Answer]],
) -> tuple[Answer | None, list[UserErrorValue]]:
    """Like `changed`; `work` gives the keys of its answer as well, and a retry gets the first answer."""
    key, user_id, request_hash = request.key, context.require_viewer().user_id, _hash(request.input)

    async def answer(connection: WriteConnection) -> Answer:
        if key is None:
            return (await work(connection))[1]
        if not 0 < len(key) <= MOST_KEY_LENGTH:
            raise invalid(request.key_path, f"needed 1 to {MOST_KEY_LENGTH} characters, got {len(key)}")
        if first := await first_outcome(connection, user_id, key):
            if (first.mutation, first.request_hash) != (request.mutation, request_hash):
                raise problem(
                    ErrorCode.IDEMPOTENCY_MISMATCH,
                    request.key_path,
                    "was used for another request; repeat that one, or use another key",
                )
            return await kept.again(first, look_up)
        outcome, found = await work(connection)
        await store_outcome(connection, user_id, key, kept.stored(request.mutation, request_hash, outcome, found))
        return found

    return await changed(context, answer)


def _hash(input_: object) -> bytes:
    return hashlib.blake2b(_encode(_plain(input_)), digest_size=16).digest()


def _plain(value: Any) -> object:
    """An input as nested lists, whatever its type."""
    if value is strawberry.UNSET:
        return None
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "__strawberry_definition__") and not isinstance(value, type | str):
        return [_plain(item) for item in vars(value).values()]
    return value
