"""The short form of `make torture`: real nodes through HTTP, every kind of fault once, everything checked exactly.

Three kinds are in test_redis.py, with what Sentinels and a Cluster do.
"""

import os
from typing import Final

import pytest

from tests.coherence.through_http.run import table, torture
from tests.coherence.through_http.test_redis import ONE_BY_ONE

OPERATIONS, SEED, KINDS_OF_FAULTS = 1_500, 1, 13
ANY, CUT_OFF = ((), (100, 300)), (("cut_off_node",), (500, 900))
FOUND: Final[dict[str, tuple[tuple[str, ...], tuple[int, int]]]] = {
    "the stamps of an entry are compared": ANY,
    "tags are restamped after COMMIT": ANY,
    "the drain restamps what is in the outbox": ANY,
    "tags are held before COMMIT": (("delay_at_a_step",), (100, 300)),
    "who cannot hold suspends the cache": CUT_OFF,
    "who suspends waits until the fence has lapsed": CUT_OFF,
    "no fence is renewed under a suspension": CUT_OFF,
}
"""Safeguards with the faults in which they are missed, and how many operations apart those are: a suspension keeps the
cache off for a while, in which nobody misses anything."""


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
    only, apart = FOUND[safeguard]
    summary = await torture(100_000, SEED, apart, only, most_s=150, removed=safeguard)
    print("\n" + table(summary))
    assert summary.violations
