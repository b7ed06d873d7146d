"""Passwords as argon2id hashes, computed in a few threads beside the event loop with a bounded queue before them."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domain.errors import Unavailable

# OWASP's second choice for argon2id: 19 MiB and 21 ms on one core here; a hash carries its own parameters
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def hash_password(text: str) -> str:
    """The hash to store; takes its time, so never on the event loop."""
    return HASHER.hash(text)


class Passwords:
    """Verifies passwords; at most `threads` at once (19 MiB each) while `most_waiting` others wait."""

    def __init__(self, *, threads: int = 2, most_waiting: int = 64) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._slots = BoundedSemaphore(threads + most_waiting)
        self._hash_of_nobody = hash_password(token_hex())

    async def verify(self, password_hash: str | None, text: str) -> bool:
        """Whether the text is the password; takes as long when there is no hash, so that users cannot be told apart."""
        if not self._slots.acquire(blocking=False):
            raise Unavailable("too many people are signing in at this moment; try again in a second", retry_after_s=1)
        future = self._executor.submit(_fits, password_hash or self._hash_of_nobody, text)
        future.add_done_callback(lambda _: self._slots.release())
        return await asyncio.wrap_future(future) and password_hash is not None

    def close(self) -> None:
        """Give the threads up; who still waits is cancelled."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _fits(password_hash: str, text: str) -> bool:
    try:
        return HASHER.verify(password_hash, text)
    except (VerificationError, InvalidHashError):
        return False
