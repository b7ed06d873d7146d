"""Request bodies, never more of them than allowed; every route reads through `limited`."""

from collections.abc import Mapping

from starlette.types import Message, Receive

from web.request_errors import RequestError


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""


def limited(headers: Mapping[bytes, bytes], receive: Receive, most_bytes: int) -> Receive:
    """`receive` that raises RequestError 413 as soon as the body shows to be too large."""
    announced = headers.get(b"content-length", b"0")
    too_large = announced.isdigit() and int(announced[:18]) > most_bytes
    size = 0

    async def receive_within() -> Message:
        nonlocal size
        if too_large:
            raise _too_large(most_bytes)
        message = await receive()
        size += len(message.get("body", b""))
        if size > most_bytes:
            raise _too_large(most_bytes)
        return message

    return receive_within


async def read_body(receive: Receive) -> bytes:
    """The whole body."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(most_bytes: int) -> RequestError:
    message = f"the request body is too large: at most {most_bytes:,} bytes are read"
    return RequestError("PAYLOAD_TOO_LARGE", message, 413, headers={"Connection": "close"})
