"""Histograms, their percentiles, bounded names, slow statements."""

import pytest

from telemetry.histogram import LAST, LOWEST_S, bound_s, bucket_of, percentile_s
from telemetry.requests import MOST_SLOW, SlowLog, current_operation
from telemetry.timings import OTHERS, Timings


def test_bounds_are_powers_of_two_of_a_millisecond() -> None:
    assert [bound_s(bucket) for bucket in (0, 4, 8, 16, 56)] == [0.0000625, 0.000125, 0.00025, 0.001, 1.024]


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, 0), (-1, 0), (LOWEST_S, 0), (LOWEST_S * 1.01, 1), (0.001, 16), (0.00101, 17), (32.7, 76), (1e9, LAST)],
)
def test_every_duration_has_a_bucket(seconds: float, bucket: int) -> None:
    assert bucket_of(seconds) == bucket
    assert bucket in (0, LAST) or bound_s(bucket - 1) < seconds <= bound_s(bucket)


def test_percentiles_are_at_most_a_bucket_off() -> None:
    timings = Timings(most_names=1)
    for milliseconds in range(1, 1001):
        timings.add("query Today", milliseconds / 1000)
    buckets = {str(number): count for number, count in enumerate(timings.by_name["query Today"].buckets)}
    for share in (0.5, 0.95, 0.99):
        assert percentile_s(buckets, share) == pytest.approx(share, rel=0.19)


def test_no_percentile_of_nothing_and_no_endless_one() -> None:
    assert percentile_s({}, 0.5) is None
    assert percentile_s({str(LAST): 3}, 0.99) == pytest.approx(32.768, rel=0.19)


def test_names_are_bounded() -> None:
    timings = Timings(most_names=2)
    for name in ("a", "b", "c", "d", "a"):
        timings.add(name, 0.001, failed=name == "d")
    assert timings.sums() == {
        "a": {"count": 2, "errors": 0, "seconds": 0.002, "buckets": {"16": 2}},
        "b": {"count": 1, "errors": 0, "seconds": 0.001, "buckets": {"16": 1}},
        OTHERS: {"count": 2, "errors": 1, "seconds": 0.002, "buckets": {"16": 2}},
    }


def test_latest_slow_statements_are_remembered_with_their_operation() -> None:
    log = SlowLog()
    token = current_operation.set("query Today")
    try:
        for number in range(MOST_SLOW + 5):
            log.note(f"statement_{number}", 0.5)
    finally:
        current_operation.reset(token)
    assert log.seen == MOST_SLOW + 5
    assert [statement.number for statement in log.latest] == list(range(6, MOST_SLOW + 6))
    assert log.latest[0][2:] == ("statement_5", 500.0, "query Today", "")
