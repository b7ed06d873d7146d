"""What clients saw during a step: answers, refusals that say when to come again, failures, and the longest silence."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, Literal

import msgspec

Kind = Literal["read", "mutation"]
Outcome = Literal["answered", "refused", "failed"]


class Attempt(msgspec.Struct, frozen=True):
    """One request as its client saw it; times are seconds of one monotonic clock."""

    kind: Kind
    outcome: Outcome
    began_s: float
    ended_s: float
    reason: str = ""


class Side(msgspec.Struct, frozen=True):
    """The figures of one kind of request during a step."""

    answered: int
    refused: int
    failed: dict[str, int]
    longest_wait_ms: int
    longest_silence_ms: int
    """The longest time in which nobody got an answer."""


class Step(msgspec.Struct, frozen=True):
    """A step: what was done to the deployment, and what its clients saw."""

    name: str
    seconds: float
    reads: Side
    mutations: Side
    stale: int
    """Reads of what had been acknowledged before that did not show it."""


class Report(msgspec.Struct, frozen=True):
    """All steps, and what was found when everything was read back."""

    proxy: str
    steps: list[Step]
    acknowledged: int
    lost: int
    doubled: int
    unknown: int
    """Punches in the database that nobody sent."""
    disagreeing: int
    """Employees whose presence the service tells otherwise than the acknowledged mutations left it."""
    notes: list[str]


def side(attempts: Iterable[Attempt], kind: Kind, began_s: float, ended_s: float) -> Side:
    """The figures of the attempts that ended within a step."""
    mine = [each for each in attempts if each.kind == kind and began_s <= each.ended_s <= ended_s]
    answered = sorted((each for each in mine if each.outcome == "answered"), key=lambda each: each.ended_s)
    instants = [began_s, *(each.ended_s for each in answered), ended_s]
    return Side(
        len(answered),
        sum(each.outcome == "refused" for each in mine),
        dict(Counter(each.reason for each in mine if each.outcome == "failed")),
        round(1000 * max((each.ended_s - each.began_s for each in answered), default=0)),
        round(1000 * max(later - earlier for earlier, later in pairwise(instants))),
    )


HEAD: Final = (
    "| step | reads answered | refused | failed | longest wait | longest silence "
    "| mutations answered | refused | failed | longest wait | longest silence | stale |\n" + "|---" * 12 + "|"
)


def row(step: Step) -> str:
    """A step as a line of the table below HEAD."""
    return f"| {step.name} ({step.seconds:g} s) | {_cells(step.reads)} | {_cells(step.mutations)} | {step.stale} |"


def _cells(one: Side) -> str:
    failed = sum(one.failed.values())
    return f"{one.answered:,} | {one.refused} | {failed} | {one.longest_wait_ms:,} ms | {one.longest_silence_ms:,} ms"
