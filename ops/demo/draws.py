"""Numbers drawn from a key: the same on every machine, in every process and in whatever order people are drawn."""

import struct
from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")
_UNIT = 2**32
_SPREAD = 3**0.5  # four uniform numbers have a variance of 4/12


class Draws:
    """An endless stream of numbers that depends on its key alone."""

    __slots__ = ("_blocks", "_key", "_numbers")

    def __init__(self, *key: int) -> None:
        self._key = struct.pack(f"<{len(key)}q", *key)
        self._blocks = 0
        self._numbers: list[int] = []

    def unit(self) -> float:
        """A number from 0 up to but not including 1."""
        if not self._numbers:
            block = self._key + self._blocks.to_bytes(4, "little")
            self._numbers = list(struct.unpack("<16I", blake2b(block).digest()))
            self._blocks += 1
        return self._numbers.pop() / _UNIT

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` - 1."""
        return int(self.unit() * limit)

    def between(self, least: int, most: int) -> int:
        """A whole number from `least` to `most`, both included."""
        return least + self.below(most - least + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices, all equally likely."""
        return choices[self.below(len(choices))]

    def weighted(self, choices: Sequence[tuple[T, float]]) -> T:
        """One of the choices by weights that sum to 1."""
        left = self.unit()
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        return choices[-1][0]

    def normal(self, mean: float, deviation: float) -> float:
        """Near enough to a normal distribution, never further than 3.5 deviations off."""
        return mean + deviation * _SPREAD * (self.unit() + self.unit() + self.unit() + self.unit() - 2)


def shuffled(number: int, *key: int) -> int:
    """`number` below a million in an order that depends on the key alone: one to one, and no neighbour tells it."""
    left, right = divmod(number % 1_000_000, 1_000)
    for turn in range(4):
        left, right = right, (left + Draws(*key, turn, right).below(1_000)) % 1_000
    return left * 1_000 + right
