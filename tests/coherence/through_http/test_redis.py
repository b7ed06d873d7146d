"""What happens to Redis, one thing after the other, under real nodes that are asked through HTTP.

It is slow, full, and a read-only replica; Sentinels fail over to a replica without the last writes; a Cluster is
resharded.
"""

from typing import Final

import pytest

from tests.coherence.through_http.faults import LEAST_LOST
from tests.coherence.through_http.run import OFTEN, Run, at_work, table

SEED, HITS, WRITES, REST_S = 1, 60, 8, 2.2
ONE_BY_ONE: Final = ("slow_valkey", "fill_valkey", "demote_valkey")
FAULTS: Final = {"pair": ONE_BY_ONE, "sentinel": ("fail_over_by_sentinels",), "cluster": ("reshard",)}
"""By what the workers have for Redis."""


@pytest.mark.parametrize("redis", FAULTS)
async def test_nothing_old_is_told_through_http_whatever_redis_does(redis: str) -> None:
    async with at_work(SEED, redis, reads_a_write=OFTEN) as run:

        async def strike() -> None:
            await run.goes_on(HITS, WRITES)
            for fault in FAULTS[redis]:
                await getattr(run.faults, fault)()
                await run.goes_on(HITS, WRITES)  # the cache is used again

        summary = await run.through(strike, REST_S, asks=1)
        _check_that_it_struck(run, redis)
    print("\n" + table(summary))
    assert summary.good, table(summary)
    assert summary.failures == {}, "every process lives, so everybody is answered"
    assert summary.writes >= WRITES * (1 + len(FAULTS[redis])) and summary.watched > 1_000


def _check_that_it_struck(run: Run, redis: str) -> None:
    assert (run.faults.lost_stamps >= LEAST_LOST) == (redis == "sentinel")
    assert (run.faults.moved_keys > 5) == (redis == "cluster")
    if redis == "pair":
        with run.stand.valkey.client as client:
            refused = client.info("errorstats")
        assert {"errorstat_OOM", "errorstat_READONLY"} <= set(refused), refused
