"""How far a PostgreSQL has got, and the opaque token in which a client brings that back."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

LONGEST_TOKEN: Final = 200
_CHECK_BYTES: Final = 4  # against a slip of the hand, not against forgery: a token gives no right to anything


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A place in the log of a server: everything committed before it is below `lsn`.

    `server` is this run of this server, see cache_server(). A promotion begins another `timeline`, which goes on where
    the one before ended.
    """

    server: str
    timeline: int
    lsn: int

    @property
    def installation(self) -> bytes:
        """The database, whatever server has it: positions of another one cannot be compared."""
        system, *_, database, relation = self.server.split(".")
        return hashlib.blake2b(f"{system}.{database}.{relation}".encode(), digest_size=6).digest()


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """What a token says: the installation and the place."""

    installation: bytes
    timeline: int
    lsn: int

    def is_reached_by(self, position: Position) -> bool:
        """Whether a server that is so far has everything that was committed before the token was given out."""
        same = position.installation == self.installation
        return same and (position.timeline, position.lsn) >= (self.timeline, self.lsn)


def token_of(position: Position) -> str:
    """A position as clients get it."""
    content = msgspec.msgpack.encode(Mark(position.installation, position.timeline, position.lsn))
    return urlsafe_b64encode(content + _check(content)).rstrip(b"=").decode()


def mark_of(token: str) -> Mark:
    """What a token says; raises ValueError when we did not give it out."""
    if not 0 < len(token) <= LONGEST_TOKEN or not token.isascii():
        raise ValueError("it is empty or too long")
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    content, check = raw[:-_CHECK_BYTES], raw[-_CHECK_BYTES:]
    if check != _check(content) or urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise ValueError("it was changed on its way")
    return msgspec.msgpack.decode(content, type=Mark)


def _check(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_CHECK_BYTES).digest()
