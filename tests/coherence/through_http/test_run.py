"""The short form of `make torture`: real nodes through HTTP, every kind of fault once, everything checked exactly.

Three kinds are in test_redis.py, with what Sentinels and a Cluster do.
"""

import os
from typing import Final

import pytest

from tests.coherence.through_http.run import table, torture
from tests.coherence.through_http.test_redis import ONE_BY_ONE

OPERATIONS, SEED, KINDS_OF_FAULTS = 1_500, 1, 13
APART = 100, 300
FOUND: Final = ("the stamps of an entry are compared", "tags are restamped after COMMIT")
"""Safeguards that are missed all the time; for the others see test_moments.py."""


async def test_nothing_old_is_told_through_http_whatever_happens() -> None:
    summary = await torture(OPERATIONS, SEED, (40, 120), least_faults=KINDS_OF_FAULTS, left_out=ONE_BY_ONE)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.reads > OPERATIONS / 2 and summary.writes > OPERATIONS / 40
    assert summary.observations > 2 * summary.reads and summary.watched > 100 * summary.seconds
    hits = sum(number for how, number in summary.answered.items() if how.startswith(("hit", "304")))
    assert hits > OPERATIONS / 50, f"the cache was hardly used: {summary.answered}"


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("safeguard", FOUND)
async def test_without_a_safeguard_something_old_is_told_through_http(safeguard: str) -> None:
    summary = await torture(100_000, SEED, APART, most_s=150, removed=safeguard)
    print("\n" + table(summary))
    assert summary.violations
