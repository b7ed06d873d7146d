"""The exact check of what clients are told: numbers that only rise, and what may be read of them at any moment.

A read may not tell less than what had been acknowledged, or told to anybody, before it began, nor more than what had
been begun when it ended. All clients live in one process and one event loop, so that "before" has one meaning and the
check needs no journal: the floor is noted when a read begins and compared when it ends.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

GRACE_S: Final = 2.1
"""A write from outside counts when the fence's life is over: 2 s, and what this process takes to notice."""
REMEMBERED: Final = 24
LONGEST_SAMPLE: Final = 50


class Violation(msgspec.Struct, frozen=True):
    """Something that nobody may be told."""

    what: str
    register: str
    told: int
    bound: int
    late_ms: float
    """For how long the bound had been known when the read began."""
    asked: str
    """Who asked what of whom."""
    before: tuple[str, ...]
    """What happened to the register last."""


class Register:
    """One number that only rises: the version of a row, or how many of something there are."""

    __slots__ = ("_acknowledged", "_base", "_clock_s", "_due", "_outside", "_rises", "begun", "floor", "name", "news")

    def __init__(self, name: str, value: int, clock_s: Callable[[], float]) -> None:
        self.name, self._clock_s = name, clock_s
        self.floor = self.begun = self._base = value
        self._acknowledged = 0
        self._outside: dict[int, float | None] = {}
        self._due: list[tuple[float, int]] = []
        self._rises: deque[tuple[float, int]] = deque([(0.0, value)], REMEMBERED)
        self.news: deque[str] = deque(maxlen=REMEMBERED)

    def begin(self, by: str, amount: int = 1) -> None:
        """A write is about to be sent."""
        self.begun += amount
        self._note(f"begun by {by}, {self.begun} at most")

    def acknowledge(self, by: str, value: int | None = None, amount: int = 1) -> None:
        """A write was answered; without `value` it was one of those that raise the number by `amount`.

        `value` was read after COMMIT, so that it may already be what somebody outside has written meanwhile.
        """
        self._acknowledged += amount
        if value is None:
            self._raise(self._base + self._acknowledged, f"acknowledged to {by}")
        else:
            self.told(value, f"the writer {by}")

    def outside(self, value: int) -> None:
        """A write from outside is about to be committed."""
        self._outside[value] = None
        self._note(f"{value} is being written from outside")

    def outside_ended(self, value: int, *, committed: bool) -> None:
        """It was committed, or the outcome is unknown: then it counts once somebody is told."""
        self._outside[value] = due_s = self._clock_s() + GRACE_S
        if committed:
            self._due.append((due_s, value))
        self._note(f"{value} was {'written' if committed else 'perhaps written'} from outside")

    def known(self) -> int:
        """What a read that begins now has to tell at least."""
        if self._due:
            now_s = self._clock_s()
            for due_s, value in [entry for entry in self._due if entry[0] <= now_s]:
                self._due.remove((due_s, value))
                self._outside.pop(value, None)
                self._raise(value, "from outside, the fence's life is over")
        return self.floor

    def told(self, value: int, by: str) -> None:
        """A read ended with this value."""
        if value <= self.floor:
            return
        if value in self._outside:
            due_s = self._outside[value]
            if due_s is None or due_s > self._clock_s():
                return
        self._raise(value, f"told to {by}")

    def late_ms(self, value: int, since_s: float) -> float:
        """For how long more than `value` had been known at `since_s`."""
        first_s = next((at_s for at_s, risen in self._rises if risen > value), since_s)
        return round((since_s - first_s) * 1000, 1)

    def _raise(self, value: int, why: str) -> None:
        if value > self.floor:
            self.floor = value
            self._rises.append((self._clock_s(), value))
        self._note(f"{value} {why}")

    def _note(self, text: str) -> None:
        self.news.append(f"{self._clock_s():.4f} {text}")


class Glance:
    """A read under way: the floors of what it asks about as they were when it began."""

    __slots__ = ("_asked", "_floors", "_registers", "begun_s")

    def __init__(self, registers: "Registers", asked: str, watched: Iterable[Register]) -> None:
        self._registers, self._asked = registers, asked
        self.begun_s = registers.clock_s()
        self._floors = {register: register.known() for register in watched}

    def ended(self, told: Iterable[tuple[Register, int]], how: str) -> None:
        """Compare what was told; `how` says which way the answer came."""
        registers, asked = self._registers, f"{self._asked} {how}"
        for register, value in told:
            registers.observed += 1
            floor = self._floors.get(register)
            if floor is not None and value < floor:
                registers.found("stale", register, value, floor, self.begun_s, asked)
            elif value > register.begun:
                registers.found("from nowhere", register, value, register.begun, self.begun_s, asked)
            register.told(value, asked)


class Registers:
    """Everything that is watched, and everything that was found wrong."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.clock_s = clock_s
        self.by_name: dict[str, Register] = {}
        self.observed = 0
        self.violations: list[Violation] = []
        self.wrong: Counter[str] = Counter()

    def add(self, name: str, value: int) -> Register:
        """Watch a number that is `value` now."""
        self.by_name[name] = register = Register(name, value, self.clock_s)
        return register

    def glance(self, asked: str, watched: Iterable[Register]) -> Glance:
        """A read begins; `asked` says by whom and of whom."""
        return Glance(self, asked, watched)

    def found(self, what: str, register: Register, told: int, bound: int, since_s: float, asked: str) -> None:
        """Note a violation; the first ones with everything that is known."""
        self.wrong[what] += 1
        if len(self.violations) < LONGEST_SAMPLE:
            late_ms = register.late_ms(told, since_s) if what == "stale" else 0.0
            now = f"read begun {since_s:.4f}, ended {self.clock_s():.4f}"
            self.violations.append(
                Violation(what, register.name, told, bound, late_ms, f"{asked} ({now})", tuple(register.news))
            )
