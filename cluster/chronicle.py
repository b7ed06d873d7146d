"""What the supervisor remembers for the status port: lives of processes, sums of those that died, answers to orders."""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from cluster.process import Child, reason_of_death
from cluster.sums import Sums, added

MOST_LIVES: Final = 50
MOST_ANSWERS: Final = 20


class Chronicle:
    """Grows by bounded amounts, and does nothing that could fail: the supervisor depends on it."""

    def __init__(self) -> None:
        self.departed: Sums = {}
        self._lives: deque[dict[str, object]] = deque(maxlen=MOST_LIVES)
        self._answers: dict[str, str | bool] = {}

    def died(self, child: Child, code: int, *, expected: bool) -> None:
        """A process has ended."""
        self.departed = added((self.departed, child.latest.get("sums", {})))
        self._lives.append(
            {
                "name": child.name,
                "pid": child.pid,
                "began": round(child.began, 3),
                "ended": round(time.time(), 3),
                "end": reason_of_death(code),
                "expected": expected,
            }
        )

    def answered(self, order: str, failure: str) -> None:
        """What an operator asked for was done, or why it was not."""
        self._answers[order] = failure or True
        while len(self._answers) > MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]

    def snapshot(self, children: Iterable[Child]) -> dict[str, Any]:
        """What there is to know now: every process with its last report, and what is gone."""
        return {
            "departed": self.departed,
            "lives": list(self._lives),
            "answers": self._answers,
            "processes": [
                {
                    "name": child.name,
                    "role": child.role.name,
                    "pid": child.pid,
                    "serves": child.serves,
                    "began": round(child.began, 3),
                    **child.latest,
                }
                for child in children
            ],
        }
