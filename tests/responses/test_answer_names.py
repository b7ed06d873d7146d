"""Names of answers that are remembered: no more than memory allows."""

import tracemalloc

from domain.ids import DepartmentId
from domain.permission import Reach
from web.answer_entries import answer_name

FACTS = ("identified", "managed", "pseudonymous")


def reach(first: int) -> Reach:
    """Who may see a thousand departments."""
    return Reach(department_ids=tuple(DepartmentId(number) for number in range(first, first + 1_000)))


def test_a_name_is_worked_out_once_for_a_request() -> None:
    first, again = (answer_name(b"operation", FACTS, (reach(1_000),)) for _ in range(2))
    assert first is again


def test_names_for_viewers_with_wide_reaches_take_little_memory() -> None:
    tracemalloc.start()
    for viewer in range(1, 301):
        answer_name(b"operation", FACTS, tuple(reach(1_000_000 * viewer + 10_000 * fact) for fact in range(3)))
    taken_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 2_000_000 < taken_bytes < 6_000_000
