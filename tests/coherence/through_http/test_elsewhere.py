"""Real nodes whose Redis moves: Sentinels fail over to a replica without the last writes, a Cluster is resharded."""

import os
from typing import Final

import pytest

from tests.coherence.through_http.run import Run, at_work, table, torture

SEED, HITS, REST_S = 1, 200, 2.2
FOUND: Final = {
    "sentinel": "every answer tells whose it is (run_id)",
    "cluster": "who cannot hold suspends the cache",
}
"""What workers have for Redis, and a safeguard that is missed when it moves."""


async def _struck(run: Run, redis: str) -> None:
    await run.hits(HITS)
    await (run.faults.fail_over_by_sentinels() if redis == "sentinel" else run.faults.reshard())
    await run.hits(HITS)


@pytest.mark.parametrize("redis", FOUND)
async def test_nothing_old_is_told_through_http_when_redis_moves(redis: str) -> None:
    """Before it, while it goes on, and after it: the cache is used again then."""
    async with at_work(SEED, redis) as run:
        summary = await run.through(lambda: _struck(run, redis), REST_S, asks=1)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.failures == {}, "every process lives, so everybody is answered"
    lost, moved = run.faults.lost_stamps, run.faults.moved_keys
    assert (lost > 10, moved > 10) == ((True, False) if redis == "sentinel" else (False, True)), (lost, moved)
    assert summary.writes > 20 and summary.watched > 1_000


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize("redis", FOUND)
async def test_without_a_safeguard_something_old_is_told_through_http_when_redis_moves(redis: str) -> None:
    only = ("fail_over_by_sentinels", "reshard")
    summary = await torture(100_000, SEED, (300, 600), only, most_s=150, removed=FOUND[redis], redis=redis)
    print("\n" + table(summary))
    assert summary.violations
