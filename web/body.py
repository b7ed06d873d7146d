"""Reading a request body from ASGI, never more of it than allowed."""

from collections.abc import Iterable

from starlette.types import Receive

from web.request_errors import RequestError


class ClientGone(Exception):
    """The client closed the connection: there is nobody to answer."""


async def read_body(headers: Iterable[tuple[bytes, bytes]], receive: Receive, most_bytes: int) -> bytes:
    """The whole body; raises RequestError 413 as soon as it shows to be too large."""
    announced = next((value for name, value in headers if name == b"content-length"), b"0")
    if announced.isdigit() and int(announced[:18]) > most_bytes:
        raise _too_large(most_bytes)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > most_bytes:
            raise _too_large(most_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _too_large(most_bytes: int) -> RequestError:
    message = f"the request body is too large: at most {most_bytes:,} bytes are read"
    return RequestError("PAYLOAD_TOO_LARGE", message, 413, headers={"Connection": "close"})
