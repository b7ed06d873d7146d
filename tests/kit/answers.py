"""What an operation answered, and what it cost."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telemetry.recording import Recording
from tests.kit.round_trips import told


@dataclass(frozen=True)
class Answer:
    """`data` and `errors` as a client gets them; `sql`, `redis` and `batches` as telemetry.recording has them."""

    status: int
    data: Any
    errors: Sequence[Mapping[str, Any]]
    made: Recording

    @property
    def sql(self) -> list[str]:
        """Names of the statements, in order."""
        return self.made.sql

    @property
    def redis(self) -> list[int]:
        """One number a round trip that read from the cache."""
        return self.made.redis

    @property
    def batches(self) -> list[tuple[str, int, int]]:
        """(lookup, keys, hits) of each batch."""
        return self.made.batches

    @property
    def told(self) -> str:
        """What it cost, for a message."""
        return told(self.made)

    @property
    def code(self) -> str:
        """The code of the only error."""
        [error] = self.errors
        return str(error["extensions"]["code"])

    @property
    def message(self) -> str:
        """The message of the only error."""
        [error] = self.errors
        return str(error["message"])

    def check_repeats(self, repeats: Mapping[str, int]) -> None:
        """No N+1: every statement runs once, unless `repeats` allows a name more often."""
        often = {name: n for name, n in Counter(self.sql).items() if n > repeats.get(name, 1)}
        if often:
            raise AssertionError(f"an N+1? statements that ran more than once: {often}\n{self.told}")
