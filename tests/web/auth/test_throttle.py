"""The throttle: windows, limits and its own bound."""

from datetime import timedelta

import pytest

from tests.web.auth.conftest import NOW
from web.throttle import Throttle, TooManyAttempts


def wait_s(throttle: Throttle, limit_by_key: dict[str, int], later_s: int = 0) -> int | None:
    try:
        throttle.begin(limit_by_key, NOW + timedelta(seconds=later_s))
    except TooManyAttempts as error:
        return error.retry_after_s
    return None


def test_a_window_opens_with_the_first_attempt_and_ends_by_itself() -> None:
    throttle = Throttle(window=timedelta(seconds=60))
    assert [wait_s(throttle, {"a": 2}, later_s) for later_s in (0, 10, 20, 59, 60, 61, 62)] == [
        None, None, 40, 1, None, None, 58,
    ]  # fmt: skip


def test_a_refused_attempt_counts_for_no_key() -> None:
    throttle = Throttle(window=timedelta(seconds=60))
    assert [wait_s(throttle, {"a": 1, "b": 2}), wait_s(throttle, {"a": 1, "b": 2})] == [None, 60]
    assert [wait_s(throttle, {"b": 2}), wait_s(throttle, {"b": 2})] == [None, 60]


def test_taking_back_makes_room() -> None:
    throttle = Throttle(window=timedelta(seconds=60))
    throttle.take_back({"a": 1})
    assert wait_s(throttle, {"a": 1}) is None
    throttle.take_back({"a": 1})
    throttle.take_back({"a": 1})
    assert [wait_s(throttle, {"a": 1}), wait_s(throttle, {"a": 1})] == [None, 60]


@pytest.mark.parametrize("most_keys", [1, 3])
def test_the_oldest_keys_make_room(most_keys: int) -> None:
    throttle = Throttle(most_keys=most_keys)
    for key in "abcd":
        assert wait_s(throttle, {key: 1}) is None
    assert len(throttle._window_by_key) == most_keys
    assert wait_s(throttle, {"d": 1}) == 300
    assert wait_s(throttle, {"a": 1}) is None
