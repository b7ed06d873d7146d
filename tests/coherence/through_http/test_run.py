"""The short form of `make torture`: real nodes through HTTP, every kind of fault once, everything checked exactly."""

import os

import pytest

from tests.coherence.through_http.run import table, torture

OPERATIONS, SEED, KINDS_OF_FAULTS = 1_500, 1, 13
FOUND_WITHIN_A_MINUTE = (
    "the stamps of an entry are compared",
    "tags are restamped after COMMIT",
    "the drain restamps what is in the outbox",
)
"""Without the others something old is told for 250 ms at most, until the drain comes: clients are rarely that quick."""


async def test_nothing_old_is_told_through_http_whatever_happens() -> None:
    summary = await torture(OPERATIONS, SEED, (40, 120), least_faults=KINDS_OF_FAULTS)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.reads > OPERATIONS / 2 and summary.writes > OPERATIONS / 40
    assert summary.observations > 2 * summary.reads
    hits = sum(number for how, number in summary.answered.items() if how.startswith(("hit", "304")))
    assert hits > OPERATIONS / 50, f"the cache was hardly used: {summary.answered}"


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("safeguard", FOUND_WITHIN_A_MINUTE)
async def test_without_a_safeguard_something_old_is_told_through_http(safeguard: str) -> None:
    summary = await torture(100_000, SEED, (100, 300), most_s=150, removed=safeguard)
    print("\n" + table(summary))
    assert summary.violations
