"""A client of one node: HTTP/1.1 over kept connections, no retries; it brings ETags back and believes a 304."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec
import orjson

LIMIT_S: Final = 40.0
MOST_REMEMBERED: Final = 500
LONGEST_CONNECTION: Final = 80
"""Requests of a connection; then another one, which another worker may accept."""


class Failed(Exception):
    """No answer, or one that is none; whether a write was done is unknown."""


class Told(msgspec.Struct, frozen=True):
    """An answer without errors, and how it was made: what Cache-Status said."""

    data: dict[str, Any]
    how: str


class Client:
    """A viewer at one node."""

    def __init__(self, port: int, token: str, choice: random.Random) -> None:
        self._port, self._token, self._random = port, token, choice
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._left = 0
        self._kept: OrderedDict[str, tuple[str, dict[str, Any]]] = OrderedDict()

    async def ask(self, document: str, variables: Mapping[str, object], *, by_get: bool = False) -> Told:
        """The data of an operation; raises Failed."""
        try:
            async with asyncio.timeout(LIMIT_S):
                return await self._asked(document, variables, by_get=by_get)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise Failed(type(error).__name__) from None

    async def _asked(self, document: str, variables: Mapping[str, object], *, by_get: bool) -> Told:
        path, body, etag = "/graphql", b"", ""
        if by_get:
            path += f"?query={quote(document)}&variables={quote(orjson.dumps(variables))}"
            etag = self._kept[path][0] if path in self._kept else ""
        else:
            body = orjson.dumps({"query": document, "variables": variables})
        status, headers, answer = await self._exchange("GET" if by_get else "POST", path, body, etag)
        how = headers.get("cache-status", "").removeprefix("rollcall; ")
        if status == 304:
            return Told(self._kept[path][1], f"304 {how}")
        if status != 200:
            raise Failed(f"status {status}")
        found = orjson.loads(answer)
        if found.get("errors"):
            raise Failed(" ".join(error["extensions"]["code"] for error in found["errors"]))
        if by_get and "etag" in headers:
            self._kept[path] = headers["etag"], found["data"]
            if len(self._kept) > MOST_REMEMBERED:
                self._kept.popitem(last=False)
        return Told(found["data"], how)

    async def _exchange(self, method: str, path: str, body: bytes, etag: str) -> tuple[int, dict[str, str], bytes]:
        if self._streams is None or self._streams[0].at_eof() or self._left <= 0:
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            self._left = self._random.randint(1, LONGEST_CONNECTION)
        self._left -= 1
        reader, writer = self._streams
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {self._token}\r\ncontent-length: {len(body)}\r\n"
        )
        writer.write(f"{head}if-none-match: {etag}\r\n\r\n".encode() + body if etag else f"{head}\r\n".encode() + body)
        top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in top[1:] if line)}
        answer = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return int(top[0].split()[1]), headers, answer

    def close(self) -> None:
        """Let the connection go."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None
