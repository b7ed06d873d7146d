"""The short form of `make torture`: real nodes through HTTP, every kind of fault once, everything checked exactly."""

from tests.coherence.through_http.run import table, torture

OPERATIONS, SEED, KINDS_OF_FAULTS = 1_500, 1, 12


async def test_nothing_old_is_told_through_http_whatever_happens() -> None:
    summary = await torture(OPERATIONS, SEED, (40, 120), least_faults=KINDS_OF_FAULTS)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.reads > OPERATIONS / 2 and summary.writes > OPERATIONS / 40
    assert summary.observations > 2 * summary.reads
    hits = sum(number for how, number in summary.answered.items() if how.startswith(("hit", "304")))
    assert hits > OPERATIONS / 50, f"the cache was hardly used: {summary.answered}"
