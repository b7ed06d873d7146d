"""The messages of graphql-transport-ws as they are read and written, and why a connection is closed."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from web.answers import Answer

LONGEST_REASON: Final = 123
"""Bytes of a close frame beside its code."""


class Closing(Exception):
    """The connection has to end, with one of the protocol's codes."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:LONGEST_REASON].decode(errors="ignore")


class Message(msgspec.Struct, frozen=True):
    """What a client says; `raw` are its bytes, and `id` is empty where it names none."""

    type: str
    id: str
    fields: Mapping[str, Any]
    raw: bytes


def message_in(given: Mapping[str, Any], most_bytes: int) -> Message:
    """Read a message; raises Closing for what is none."""
    text = given.get("text")
    if text is None:
        raise Closing(4400, "Invalid message: needed text, got bytes")
    raw = text.encode(errors="surrogatepass")
    if len(raw) > most_bytes:
        raise Closing(1009, f"message: at most {most_bytes:,} bytes allowed")
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Closing(4400, "Invalid message: needed JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise Closing(4400, "Invalid message: needed an object with a type")
    id_ = fields.get("id", "")
    if not isinstance(id_, str):
        raise Closing(4400, "Invalid message: the id needs to be a string")
    return Message(fields["type"], id_, fields, raw)


def of_answer(type_: str, id_: str, answer: Answer) -> str:
    """The message `next` or `error` with an answer, whose bytes are taken as they are."""
    if type_ == "error":
        errors = orjson.loads(answer.body)["errors"]
        return orjson.dumps({"type": type_, "id": id_, "payload": errors}).decode()
    head = orjson.dumps({"type": type_, "id": id_}).removesuffix(b"}")
    return (head + b',"payload":' + answer.body + b"}").decode()
