"""The checker is checked: it finds what is too old, what goes back, what was never written, and nothing else."""

from tests.coherence.through_http.registers import GRACE_S, Register, Registers


class Clock:
    """Moved by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watched() -> tuple[Registers, Register, Clock]:
    clock = Clock()
    registers = Registers(clock)
    return registers, registers.add("row", 1), clock


def test_less_than_was_acknowledged_is_stale() -> None:
    registers, row, clock = watched()
    row.begin("w")
    early = registers.glance("early", [row])
    row.acknowledge("w", 2)
    clock.now_s = 3
    late = registers.glance("late", [row])
    early.ended([(row, 1)], "cache")
    assert not registers.wrong, "it began before the acknowledgement"
    late.ended([(row, 1)], "cache")
    assert registers.wrong == {"stale": 1}
    [found] = registers.violations
    assert (found.told, found.bound, found.late_ms, found.asked[:10]) == (1, 2, 3000.0, "late cache")


def test_less_than_somebody_was_told_goes_back() -> None:
    registers, row, _ = watched()
    row.begin("w")
    first = registers.glance("first", [row])
    first.ended([(row, 2)], "database")
    registers.glance("second", [row]).ended([(row, 1)], "cache")
    assert registers.wrong == {"stale": 1}


def test_more_than_was_begun_comes_from_nowhere() -> None:
    registers, row, _ = watched()
    row.begin("w")
    registers.glance("any", [row]).ended([(row, 2)], "cache")
    assert not registers.wrong
    registers.glance("any", [row]).ended([(row, 3)], "cache")
    assert registers.wrong == {"from nowhere": 1}


def test_what_raises_by_an_amount_counts_each_acknowledgement() -> None:
    registers, row, _ = watched()
    for by in "abc":
        row.begin(by)
    row.acknowledge("a")
    row.acknowledge("b")
    assert row.known() == 3
    registers.glance("any", [row]).ended([(row, 4)], "cache")
    assert row.known() == 4, "the third was seen, though nobody was told that it is done"
    assert not registers.wrong


def test_a_write_from_outside_counts_when_the_life_of_the_fence_is_over() -> None:
    registers, row, clock = watched()
    row.begin("psql")
    row.outside(2)
    registers.glance("any", [row]).ended([(row, 2)], "database")
    row.outside_ended(2, committed=True)
    clock.now_s = GRACE_S - 0.1
    registers.glance("any", [row]).ended([(row, 1)], "cache")
    assert not registers.wrong
    clock.now_s = GRACE_S + 0.1
    registers.glance("any", [row]).ended([(row, 1)], "cache")
    assert registers.wrong == {"stale": 1}


def test_a_write_from_outside_that_may_have_failed_counts_once_somebody_is_told() -> None:
    registers, row, clock = watched()
    row.begin("psql")
    row.outside(2)
    row.outside_ended(2, committed=False)
    clock.now_s = GRACE_S + 0.1
    registers.glance("any", [row]).ended([(row, 1)], "cache")
    assert not registers.wrong, "nobody knows that it was done"
    registers.glance("any", [row]).ended([(row, 2)], "cache")
    registers.glance("any", [row]).ended([(row, 1)], "cache")
    assert registers.wrong == {"stale": 1}


def test_a_write_of_ours_after_one_from_outside_counts_at_once() -> None:
    registers, row, _ = watched()
    row.begin("psql")
    row.outside(2)
    row.outside_ended(2, committed=True)
    row.begin("w")
    row.acknowledge("w", 3)
    registers.glance("any", [row]).ended([(row, 2)], "cache")
    assert registers.wrong == {"stale": 1}


def test_an_acknowledgement_that_shows_a_later_write_from_outside_does_not_make_it_known() -> None:
    registers, row, clock = watched()
    row.begin("w")
    row.begin("psql")
    row.outside(3)
    row.outside_ended(3, committed=True)
    row.acknowledge("w", 3)
    registers.glance("any", [row]).ended([(row, 2)], "cache")
    assert not registers.wrong
    clock.now_s = GRACE_S + 0.1
    registers.glance("any", [row]).ended([(row, 2)], "cache")
    assert registers.wrong == {"stale": 1}
