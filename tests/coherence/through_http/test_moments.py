"""Nothing old is told in the moments that matter; and each safeguard is found missing in its own, every time."""

import os
from typing import Final

import pytest

from tests.coherence.through_http.moments import MOMENTS, Moment, Moments, moments

SEED, TRIES = 1, 3
FOUND: Final[tuple[tuple[str, str, Moment], ...]] = (
    *(
        ("pair", safeguard, Moments.between_hold_and_release)
        for safeguard in (
            "the stamps of an entry are compared",
            "a held stamp serves and stores nothing",
            "tags are held before COMMIT",
            "tags are restamped after COMMIT",
            "a release makes a new stamp",
            "delete after COMMIT instead of stamps, holds and suspension",
            "leases as memcache has them instead of holds",
            "stamps alone, without holds",
        )
    ),
    ("pair", "who cannot hold suspends the cache", Moments.cut_off),
    ("pair", "who cannot hold suspends the cache", Moments.full),
    ("pair", "who suspends waits until the fence has lapsed", Moments.cut_off),
    ("pair", "no fence is renewed under a suspension", Moments.waiting_under_a_suspension),
    (
        "pair",
        "no suspension ends before who counts on it has ended",
        Moments.committing_under_a_suspension,
    ),
    ("pair", "who counts on a suspension says so until its end", Moments.committing_under_a_suspension),
    ("pair", "the drain restamps what is in the outbox", Moments.outside),
    ("sentinel", "every answer tells whose it is (run_id)", Moments.failed_over),
    ("cluster", "tags are restamped after COMMIT", Moments.between_hold_and_release),
    ("cluster", "who cannot hold suspends the cache", Moments.half_moved),
)
"""With what for Redis, what is missed when."""


@pytest.mark.parametrize("redis", MOMENTS)
async def test_nothing_old_is_told_in_any_of_the_moments(redis: str) -> None:
    async with moments(SEED, redis) as (run, at):
        for moment in MOMENTS[redis]:
            await at.happen(moment)
        assert run.traffic.registers.violations == []


@pytest.mark.skipif(not os.environ.get("TORTURE_WEAKENED"), reason="takes minutes: set TORTURE_WEAKENED=1")
@pytest.mark.parametrize(("redis", "safeguard", "moment"), FOUND)
async def test_without_a_safeguard_something_old_is_told_in_its_moment(
    redis: str, safeguard: str, moment: Moment
) -> None:
    async with moments(SEED, redis, safeguard) as (run, at):
        for _ in range(TRIES):
            await at.happen(moment)
            if run.traffic.registers.wrong:
                break
        print(f"\n{safeguard}: {run.traffic.done} operations, {dict(run.traffic.registers.wrong)}")
        assert run.traffic.registers.wrong
