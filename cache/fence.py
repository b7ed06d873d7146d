"""The lease on the whole cache: what it says, and when a reader may believe it."""

from functools import lru_cache

import msgspec


class Fence(msgspec.Struct, frozen=True):
    """The lease on the whole cache: of which Redis, epoch and declaration of tags.

    `from_ms` is that Redis's clock from before the outbox was read; from there its life is counted.
    """

    run_id: str
    epoch: int
    declaration: str
    from_ms: int

    @property
    def value(self) -> str:
        """What stands in Redis."""
        return f"{self.run_id}.{self.epoch}.{self.declaration}"


@lru_cache(maxsize=16)
def is_ours(fence: bytes, run_id: str, declaration: str) -> bool:
    """Was the fence made on the server that showed it, for triggers that touch the tags that we depend on?"""
    return fence.startswith(f"{run_id}.".encode()) and fence.endswith(f".{declaration}".encode())
